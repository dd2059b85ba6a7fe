# Not built or run yet. Needs BuildKit. To run it in development mode (nobody is authenticated; see README for the other):
#   docker run -p 127.0.0.1:8080:8080 -e CDS_DEVELOPMENT=1 -e CDS_DEVELOPMENT_ANY_ADDRESS=1 \
#       -e CDS_PUBLIC_URL=http://localhost:8080 IMAGE
FROM python:3.11-slim AS build
WORKDIR /src
COPY . .
RUN pip wheel --no-cache-dir --wheel-dir /wheels .

FROM python:3.11-slim
RUN --mount=from=build,source=/wheels,target=/wheels pip install --no-cache-dir --no-index --find-links /wheels cds-service \
    && useradd --system --uid 10001 --home-dir /data --create-home cds
USER 10001
WORKDIR /data
ENV CDS_HOST=0.0.0.0
EXPOSE 8080
HEALTHCHECK CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/cds-services', timeout=3)"]
CMD ["cds-service", "serve"]

# The service as it was locked, without the right to write anywhere but in /data. BASE is to be given with its digest
# when a release is built (docker build --build-arg BASE=python:3.11-slim@sha256:... .): a tag may become another image.
#
# In production, behind what ends TLS; clients.toml and the secrets come in as files that only uid 10001 can read:
#   docker run --read-only --tmpfs /tmp:size=16m,mode=1777 --cap-drop ALL --security-opt no-new-privileges \
#       -p 127.0.0.1:8080:8080 -v cds-data:/data -v /etc/cds:/etc/cds:ro \
#       -e CDS_PUBLIC_URL=https://cds.hospital.example -e CDS_CLIENTS=/etc/cds/clients.toml \
#       -e CDS_PATIENT_KEY_FILE=/etc/cds/patient-key IMAGE
# In development mode nobody is authenticated:
#   docker run --read-only --tmpfs /tmp:size=16m,mode=1777 -p 127.0.0.1:8080:8080 -e CDS_DEVELOPMENT=1 \
#       -e CDS_DEVELOPMENT_ANY_ADDRESS=1 -e CDS_PUBLIC_URL=http://localhost:8080 IMAGE
ARG BASE=python:3.11-slim

FROM ${BASE} AS build
WORKDIR /src
RUN python -m venv /opt/cds
COPY requirements/runtime.lock requirements/runtime.lock
RUN /opt/cds/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes -r requirements/runtime.lock
COPY . .
RUN /opt/cds/bin/pip install --no-cache-dir --disable-pip-version-check --no-index --no-deps --no-build-isolation .

FROM ${BASE}
RUN groupadd --system --gid 10001 cds && useradd --system --uid 10001 --gid 10001 --home-dir /data --create-home cds
COPY --from=build /opt/cds /opt/cds
ENV PATH=/opt/cds/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 CDS_HOST=0.0.0.0 CDS_PORT=8080
USER 10001:10001
WORKDIR /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"CDS_PORT\"]}/health/live', timeout=3)"]
CMD ["cds-service", "serve"]

# The service as it was locked, without the right to write anywhere but in /data; docs/containers.md says what of it was
# built and run. BASE is to be given with its digest when a release is built: a tag may become another image.
#   docker build --build-arg BASE=python:3.11-slim@sha256:... --build-arg VERSION=... --build-arg REVISION=... .
# LOCK names the file in requirements/ that is installed: "runtime" is the service; a lock of the same versions with the
# extras of population screening makes the image of its workers.
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
ARG LOCK=runtime
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
RUN python -m venv --without-pip /opt/cds
COPY requirements/${LOCK}.lock requirements/runtime.lock
RUN python -m pip --python /opt/cds/bin/python install --no-deps --require-hashes -r requirements/runtime.lock
COPY . .
RUN python -m pip --python /opt/cds/bin/python install --no-index --no-deps --no-build-isolation . \
    && python -m pip --python /opt/cds/bin/python uninstall --yes editables hatchling pathspec pluggy tomlkit trove-classifiers

FROM ${BASE}
ARG SOURCE=unknown
ARG REVISION=unknown
ARG VERSION=unknown
LABEL org.opencontainers.image.title="cds-service" \
      org.opencontainers.image.description="A CDS Hooks service for low back pain. Not a certified medical device; no clinician has signed its content." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.version="${VERSION}"
# What installs packages is not needed where nothing is installed: the Python of the base holds pip and setuptools.
RUN rm -rf /usr/local/lib/python3.*/site-packages/* /usr/local/lib/python3.*/ensurepip /usr/local/bin/pip* \
    && groupadd --gid 10001 cds \
    && useradd --uid 10001 --gid 10001 --home-dir /data --create-home --shell /usr/sbin/nologin cds
COPY --from=build /opt/cds /opt/cds
ENV PATH=/opt/cds/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 CDS_HOST=0.0.0.0 CDS_PORT=8080
USER 10001:10001
WORKDIR /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"CDS_PORT\"]}/health/live', timeout=3)"]
CMD ["cds-service", "serve"]

# Debian's PgBouncer, which deploy/compose.celery.yaml puts before PostgreSQL.
# syntax: nothing beyond what the classic builder knows.
# The base is an argument, so that a release pins it by digest (python@sha256:...).
ARG PYTHON_IMAGE=python:3.12.12-slim-bookworm

FROM ${PYTHON_IMAGE}
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Presagio PgBouncer" \
      org.opencontainers.image.description="Connections of PostgreSQL for many workers" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# hadolint ignore=DL3008
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends pgbouncer >/dev/null \
 && rm -rf /var/lib/apt/lists/* /etc/pgbouncer \
 && groupadd --gid 10001 presagio \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent presagio
COPY deploy/pgbouncer/start.sh /opt/presagio/etc/
ENV PATH=/usr/sbin:$PATH
USER 10001:10001
EXPOSE 6432
STOPSIGNAL SIGTERM
CMD ["/bin/sh", "/opt/presagio/etc/start.sh"]

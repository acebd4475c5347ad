# The web console: no Airflow, no MLflow server, no training.
# syntax: nothing beyond what the classic builder knows.
# The base is an argument, so that a release pins it by digest (python@sha256:...).
ARG PYTHON_IMAGE=python:3.12.12-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
WORKDIR /build
# Compiled here once: a container cannot write, and would compile at each start.
ENV PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1 UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
COPY requirements/bootstrap.txt requirements/console.txt requirements/
RUN python3 -m venv tools \
 && tools/bin/python -m pip install --quiet --require-hashes -r requirements/bootstrap.txt \
 && tools/bin/uv venv --quiet --python "$(command -v python3)" /opt/presagio \
 && tools/bin/uv pip sync --quiet --python /opt/presagio/bin/python --require-hashes requirements/console.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN tools/bin/uv build --quiet --wheel --no-build-isolation --python tools/bin/python --out-dir dist . \
 && tools/bin/uv pip install --quiet --python /opt/presagio/bin/python --no-deps dist/*.whl \
 && /opt/presagio/bin/python -c "import presagio.console.program; from presagio.console.discovery import find_pages; find_pages()"

FROM ${PYTHON_IMAGE}
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Presagio console" \
      org.opencontainers.image.description="Pages for the people who keep machines running" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN groupadd --gid 10001 presagio \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/presagio presagio \
 && install -d -o presagio -g presagio /var/lib/presagio
COPY --from=build /opt/presagio /opt/presagio
ENV PATH=/opt/presagio/bin:$PATH \
    LANG=C.UTF-8 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MALLOC_ARENA_MAX=2 \
    PRESAGIO_HOME=/var/lib/presagio
USER 10001:10001
WORKDIR /var/lib/presagio
EXPOSE 8050
STOPSIGNAL SIGTERM
CMD ["presagio", "console", "--host", "0.0.0.0", "--port", "8050"]

# The inference API: no Airflow, no MLflow, no build tools, no package manager.
# syntax: nothing beyond what the classic builder knows.
# The base is an argument, so that a release pins it by digest (python@sha256:...).
ARG PYTHON_IMAGE=python:3.12.12-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
WORKDIR /build
ENV PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1 UV_LINK_MODE=copy
RUN apt-get update -qq && apt-get install -qq -y --no-install-recommends binutils >/dev/null
COPY requirements/bootstrap.txt requirements/api.txt requirements/
RUN python3 -m venv tools \
 && tools/bin/python -m pip install --quiet --require-hashes -r requirements/bootstrap.txt \
 && tools/bin/uv venv --quiet --python "$(command -v python3)" /opt/presagio \
 && tools/bin/uv pip sync --quiet --python /opt/presagio/bin/python --require-hashes requirements/api.txt
COPY src/presagio/inference/fallback/model.onnx /tmp/model.onnx
COPY deploy/images/trim_packages.sh ./
RUN sh trim_packages.sh /opt/presagio/lib/python3*/site-packages \
 && /opt/presagio/bin/python -c "import boto3, cryptography.hazmat.bindings._rust, httptools, numpy, onnxruntime, polars, psycopg_pool, uvloop; \
numpy.linalg.svd(numpy.random.default_rng(0).normal(size=(300, 300))); assert psycopg_pool.ConnectionPool; \
boto3.client('s3', 'us-east-1'); onnxruntime.InferenceSession('/tmp/model.onnx'); polars.DataFrame({'a': [1]}).write_csv()"
COPY pyproject.toml README.md LICENSE ./
COPY src src
# The console has an image of its own.
RUN rm -rf src/presagio/console \
 && tools/bin/uv build --quiet --wheel --no-build-isolation --python tools/bin/python --out-dir dist . \
 && tools/bin/uv pip install --quiet --python /opt/presagio/bin/python --no-deps dist/*.whl
# What every start imports is compiled here once: a container cannot write, and would compile it each time.
RUN /opt/presagio/bin/python -c "import presagio.cli.main, presagio.cli.commands.serve, presagio.serving.app, presagio.serving.worker, polars, boto3, psycopg, psycopg_pool"

FROM ${PYTHON_IMAGE} AS root
COPY deploy/images/trim_root.sh /tmp/
RUN sh /tmp/trim_root.sh && rm /tmp/trim_root.sh

FROM scratch
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Presagio API" \
      org.opencontainers.image.description="Serves the champion over HTTP" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# hadolint ignore=DL3067
COPY --from=root / /
COPY --from=build /opt/presagio /opt/presagio
ENV PATH=/opt/presagio/bin:/usr/local/bin:/usr/bin:/bin \
    LANG=C.UTF-8 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MALLOC_ARENA_MAX=2 \
    PRESAGIO_HOME=/var/lib/presagio
USER 10001:10001
WORKDIR /var/lib/presagio
EXPOSE 8000
STOPSIGNAL SIGTERM
CMD ["presagio", "serve", "--host", "0.0.0.0", "--port", "8000"]

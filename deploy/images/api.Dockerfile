# The inference API: no Airflow, no MLflow, no build tools.
# syntax: nothing beyond what the classic builder knows.
# The base is an argument, so that a release pins it by digest (python@sha256:...).
ARG PYTHON_IMAGE=python:3.12.12-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
WORKDIR /build
ENV PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1 UV_LINK_MODE=copy
COPY requirements/bootstrap.txt requirements/api.txt requirements/
RUN python3 -m venv tools \
 && tools/bin/python -m pip install --quiet --require-hashes -r requirements/bootstrap.txt \
 && tools/bin/uv venv --quiet --python "$(command -v python3)" /opt/presagio \
 && tools/bin/uv pip sync --quiet --python /opt/presagio/bin/python --require-hashes requirements/api.txt
# Headers, tests, copies of libraries, and what nothing here speaks: Arrow's Flight, other services
# of Amazon's than S3.
RUN cd /opt/presagio/lib/python3*/site-packages \
 && rm -rf pyarrow/include pyarrow/tests pyarrow/src pyarrow/*flight* pyarrow/*cpp_tests* numpy/*/tests \
 && find pyarrow -name 'libarrow*.so' -delete && find pyarrow -name 'lib*.so.*.*' -delete \
 && find . -name '*.pyi' -delete && find pyarrow -name '*.pxd' -delete \
 && find botocore/data -mindepth 1 -maxdepth 1 -type d ! -name s3 ! -name sts -exec rm -r {} + \
 && /opt/presagio/bin/python -c "import boto3, polars, pyarrow.ipc, pyarrow.parquet; boto3.client('s3', 'us-east-1')"
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN tools/bin/uv build --quiet --wheel --no-build-isolation --python tools/bin/python --out-dir dist . \
 && tools/bin/uv pip install --quiet --python /opt/presagio/bin/python --no-deps dist/*.whl

FROM ${PYTHON_IMAGE}
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Presagio API" \
      org.opencontainers.image.description="Serves the champion over HTTP" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN groupadd --gid 10001 presagio \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/presagio presagio \
 && install -d -o presagio -g presagio /var/lib/presagio
COPY --from=build /opt/presagio /opt/presagio
ENV PATH=/opt/presagio/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MALLOC_ARENA_MAX=2 \
    PRESAGIO_HOME=/var/lib/presagio
USER 10001:10001
WORKDIR /var/lib/presagio
EXPOSE 8000
STOPSIGNAL SIGTERM
CMD ["presagio", "serve", "--host", "0.0.0.0", "--port", "8000"]

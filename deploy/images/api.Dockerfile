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
# What nothing here uses: symbols, tests, types, the C library of ONNX Runtime beside Python's, its tools for
# models, other services of Amazon's than S3. What is left has to work.
COPY src/presagio/inference/fallback/model.onnx /tmp/model.onnx
# hadolint ignore=DL3003
RUN cd /opt/presagio/lib/python3*/site-packages \
 && strip --strip-unneeded _polars_runtime_32/*.so uvloop/*.so cryptography/hazmat/bindings/*.so \
      httptools/parser/*.so numpy/_core/*.so numpy/random/*.so \
 && rm -rf numpy/*/tests numpy/f2py numpy/_core/include numpy/*/lib/*.a onnxruntime/capi/libonnxruntime.so* \
      boto3/data/ec2 onnxruntime/backend onnxruntime/datasets onnxruntime/quantization onnxruntime/tools onnxruntime/transformers \
 && find . -name '*.pyi' -delete \
 && find botocore/data -mindepth 1 -maxdepth 1 -type d ! -name s3 ! -name sts -exec rm -r {} + \
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

# The base without what installs more, or lets a user become another one. Its list of packages stays, for scanners.
FROM ${PYTHON_IMAGE} AS root
# hadolint ignore=DL3003
RUN groupadd --gid 10001 presagio \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/presagio presagio \
 && dpkg --purge --force-all apt libapt-pkg6.0 gpgv debian-archive-keyring e2fsprogs logsave mount perl-base >/dev/null \
 && cd "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" \
 && rm -rf ensurepip idlelib lib2to3 pydoc_data tkinter turtledemo config-3* site-packages/pip* \
      /usr/local/bin/pip* /usr/local/include /usr/share/python-wheels /usr/lib/*/gconv /usr/lib/*/perl-base \
      /usr/bin/dpkg* /var/lib/dpkg/info /var/lib/apt /var/cache/* /var/log/* \
 && find / -xdev -type f -perm /6000 -exec chmod a-s {} +

FROM scratch
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Presagio API" \
      org.opencontainers.image.description="Serves the champion over HTTP" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# All of it: what was removed above would stay in the layers of the base otherwise.
# hadolint ignore=DL3067
COPY --from=root / /
COPY --from=build /opt/presagio /opt/presagio
RUN ["install", "-d", "-o", "presagio", "-g", "presagio", "/var/lib/presagio"]
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

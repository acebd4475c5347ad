# The web console: no Airflow, no MLflow server, no training, no package manager.
# syntax: nothing beyond what the classic builder knows.
# The base is an argument, so that a release pins it by digest (python@sha256:...).
ARG PYTHON_IMAGE=python:3.12.12-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
WORKDIR /build
ENV PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1 UV_LINK_MODE=copy
RUN apt-get update -qq && apt-get install -qq -y --no-install-recommends binutils >/dev/null
COPY requirements/bootstrap.txt requirements/console.txt requirements/
RUN python3 -m venv tools \
 && tools/bin/python -m pip install --quiet --require-hashes -r requirements/bootstrap.txt \
 && tools/bin/uv venv --quiet --python "$(command -v python3)" /opt/presagio \
 && tools/bin/uv pip sync --quiet --python /opt/presagio/bin/python --require-hashes requirements/console.txt
COPY deploy/images/trim_packages.sh ./
RUN sh trim_packages.sh /opt/presagio/lib/python3*/site-packages
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN tools/bin/uv build --quiet --wheel --no-build-isolation --python tools/bin/python --out-dir dist . \
 && tools/bin/uv pip install --quiet --python /opt/presagio/bin/python --no-deps dist/*.whl
# What is left has to work. What pages and promotions import is compiled here once: a container cannot write, and would
# compile it at each start.
RUN /opt/presagio/bin/python -c "import alembic, boto3, fastexcel, onnxruntime, polars, presagio.cli.main, presagio.cli.commands.console, \
presagio.console.program, presagio.inference.predictor, presagio.lifecycle.promotion, presagio.registry.writer, tzdata; \
from babel.dates import format_datetime; from babel.numbers import format_decimal; from importlib.resources import files; \
from presagio.console.discovery import find_pages; find_pages(); boto3.client('s3', 'us-east-1'); \
onnxruntime.InferenceSession(str(files('presagio.inference') / 'fallback/model.onnx')); polars.DataFrame({'a': [1]}).write_csv(); \
format_datetime(locale='en'); format_datetime(locale='es'); assert format_decimal(0.5, locale='es') == '0,5'"

FROM ${PYTHON_IMAGE} AS root
COPY deploy/images/trim_root.sh /tmp/
RUN sh /tmp/trim_root.sh && rm /tmp/trim_root.sh

FROM scratch
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Presagio console" \
      org.opencontainers.image.description="Pages for the people who keep machines running" \
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
EXPOSE 8050
STOPSIGNAL SIGTERM
CMD ["presagio", "console", "--host", "0.0.0.0", "--port", "8050"]

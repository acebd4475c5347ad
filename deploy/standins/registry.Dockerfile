ARG BASE
FROM ${BASE}
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends docker-registry >/dev/null \
 && rm -rf /var/lib/apt/lists/*
COPY registry.yaml /etc/registry.yaml
CMD ["docker-registry", "serve", "/etc/registry.yaml"]

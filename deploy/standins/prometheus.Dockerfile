ARG BASE
FROM ${BASE}
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends prometheus wget >/dev/null \
 && rm -rf /var/lib/apt/lists/* /etc/prometheus/* \
 && install -d -o 65534 -g 65534 /prometheus
USER 65534:65534

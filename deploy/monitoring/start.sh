#!/bin/sh
# Prometheus reads the secret of its client at the API from a file only.
set -eu
umask 077
printf '%s' "$PRESAGIO_METRICS_SECRET" > /tmp/metrics-secret
exec prometheus --config.file=/etc/prometheus/prometheus.yaml --storage.tsdb.path=/prometheus \
  --storage.tsdb.retention.time="${PROMETHEUS_RETENTION:-30d}" --web.listen-address=0.0.0.0:9090

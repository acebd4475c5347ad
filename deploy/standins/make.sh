#!/usr/bin/env bash
# Stand-ins for the base images, where no container registry can be reached: same names, variables,
# ports and health checks, made of Debian's packages and of PyPI's. For tests only.
#
# Needs root, a Docker engine, and debootstrap. What each one replaces is said at the end.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=${here%/deploy/standins}
work=${1:-$(mktemp -d)}
python_image=$(sed -n 's/^ARG PYTHON_IMAGE=//p' "$root/deploy/images/api.Dockerfile")
image_of() { sed -n "s|^    image: \($1:.*\)|\1|p" "$root/compose.yaml" "$root/deploy/compose.celery.yaml"; }
postgres_image=$(image_of postgres)
s3_image=$(image_of chrislusf/seaweedfs)
prometheus_image=$(image_of prom/prometheus)
valkey_image=$(image_of valkey/valkey)
registry_image=${E2E_REGISTRY_IMAGE:?names the image of a registry}

# Kept from run to run, until what it is made of changes. An image without the label is the real one.
digest=$(cat "$here/make.sh" /etc/ssl/certs/ca-certificates.crt | sha256sum | cut -d' ' -f1)
made=$(docker image inspect --format '{{index .Config.Labels "presagio.standin"}}' "$python_image" 2>/dev/null || echo none)
if [ -n "$made" ] && [ "$made" != "$digest" ]; then
  if [ ! -x "$work/base/usr/bin/python3" ]; then
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates,libgomp1 \
      bookworm "$work/base" >"$work/debootstrap.log"
  fi
  # The machine's own authorities: its way to the package registries may have one more.
  cp /etc/ssl/certs/ca-certificates.crt "$work/base/etc/ssl/certs/ca-certificates.crt"
  rm -rf "$work"/base/var/cache/apt/* "$work"/base/var/lib/apt/lists/* "$work"/base/usr/share/{doc,man,locale}/*
  bundle=/etc/ssl/certs/ca-certificates.crt
  ln -sf python3 "$work/base/usr/bin/python"
  tar -C "$work/base" --numeric-owner -c . | docker import \
    --change "LABEL presagio.standin=$digest" \
    --change "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
    --change "ENV SSL_CERT_FILE=$bundle PIP_CERT=$bundle" - "$python_image" >/dev/null
fi
# The engine is asked for these by the names that compose.yaml and the Dockerfiles have.
build() { docker build --quiet --network host --build-arg "BASE=$python_image" --tag "$1" \
  --file "$here/$2.Dockerfile" "$here" >/dev/null; }
build "$postgres_image" postgres
build "$s3_image" s3
build "$prometheus_image" prometheus
build "$registry_image" registry
build "$valkey_image" valkey

cat <<SAID
stand-ins, for images that cannot be pulled here:
  $python_image: Debian 12 with $(docker run --rm "$python_image" python3 --version)
  $postgres_image: $(docker run --rm --entrypoint /usr/lib/postgresql/15/bin/postgres "$postgres_image" --version)
  $s3_image: $(docker run --rm --entrypoint rclone "$s3_image" version | head -1) (serve s3): every key may read and write all buckets
  $prometheus_image: $(docker run --rm --entrypoint prometheus "$prometheus_image" --version 2>&1 | head -1)
  $valkey_image: $(docker run --rm --entrypoint valkey-server "$valkey_image" --version)
  $registry_image: $(docker run --rm "$registry_image" docker-registry --version)
not replaced, and so not run: $(image_of grafana/grafana)
SAID

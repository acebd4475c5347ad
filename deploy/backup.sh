#!/usr/bin/env bash
# Save the databases and buckets of the compose deployment into a folder, or put them back.
#
#   deploy/backup.sh save FOLDER       while it runs; tasks, answers and pages wait for a moment
#   deploy/backup.sh restore FOLDER    replaces what is there, and starts everything again
#
# COMPOSE is the command, with its files, if it is not `docker compose`.
set -euo pipefail
what=${1:-} folder=${2:-}
if [[ ! $what =~ ^(save|restore)$ || -z $folder ]]; then
  echo "usage: deploy/backup.sh save|restore FOLDER" >&2
  exit 2
fi
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
cd "$(dirname "$0")/.."
compose=${COMPOSE:-docker compose}
databases=(presagio mlflow_db airflow)
buckets=(csv-data data mlflow)
# Who writes to the ledger or the buckets, of the services that the compose files have.
mapfile -t writers < <($compose config --services | grep -xE 'airflow-(scheduler|worker(-train)?)|inference_api|console')
# In the container, where the password is; the server asks for one.
in_postgres() { $compose exec -T postgres sh -c "PGPASSWORD=\$POSTGRES_PASSWORD exec $1 -h 127.0.0.1 -U postgres $2"; }
objects() { $compose run --rm -T --no-deps create-buckets python -m presagio.deployment.backup "$1" "${buckets[@]}"; }

if [ "$what" = save ]; then
  umask 077
  [ ! -e "$folder/buckets.tar" ] || { echo "$folder holds a backup already; name a new folder" >&2; exit 2; }
  # The ledger and the buckets are of one moment when nobody writes to either.
  $compose pause "${writers[@]}" >/dev/null 2>&1
  trap '$compose unpause "${writers[@]}" >/dev/null 2>&1' EXIT
  for database in "${databases[@]}"; do
    in_postgres pg_dump "--format=custom $database" >"$folder/$database.dump"
  done
  objects save >"$folder/buckets.tar.part" 2>"$folder/log"
  mv "$folder/buckets.tar.part" "$folder/buckets.tar"
  (cd "$folder" && sha256sum ./*.dump buckets.tar >SHA256SUMS)
  echo "saved to $folder: $(du -sh "$folder" | cut -f1), $(tail -1 "$folder/log")"
  echo "keep .env with it, elsewhere: without its secrets what is encrypted cannot be read"
else
  (cd "$folder" && sha256sum --check --quiet SHA256SUMS)
  $compose up -d postgres s3 >/dev/null 2>&1
  $compose up create-databases create-buckets >/dev/null 2>&1
  $compose stop "${writers[@]}" mlflow airflow-apiserver airflow-dag-processor airflow-triggerer >/dev/null 2>&1
  for database in "${databases[@]}"; do
    in_postgres pg_restore "--clean --if-exists --single-transaction --dbname=$database" <"$folder/$database.dump"
  done
  objects restore <"$folder/buckets.tar"
  $compose up -d >/dev/null 2>&1
  echo "restored from $folder"
fi

#!/bin/sh
# What the official image's entry point does with the variables that compose.yaml gives it.
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  umask 077
  printf '%s' "$POSTGRES_PASSWORD" > /tmp/password
  # Arguments, as the official image takes them.
  # shellcheck disable=SC2086
  initdb --pgdata "$PGDATA" --username postgres --pwfile /tmp/password ${POSTGRES_INITDB_ARGS:-}
  rm /tmp/password
  echo 'host all all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
fi
exec "$@" -c listen_addresses='*' -D "$PGDATA"

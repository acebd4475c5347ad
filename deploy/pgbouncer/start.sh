#!/bin/sh
# PgBouncer before PostgreSQL: a connection of the server a transaction, for Airflow and the ledger.
set -eu
umask 077
folder=${TMPDIR:-/tmp}
cat > "$folder/users.txt" <<USERS
"airflow" "$AIRFLOW_DB_PASSWORD"
"presagio" "$PRESAGIO_DB_PASSWORD"
USERS
cat > "$folder/pgbouncer.ini" <<CONFIG
[databases]
airflow = host=$POSTGRES_HOST port=$POSTGRES_PORT
presagio = host=$POSTGRES_HOST port=$POSTGRES_PORT
[pgbouncer]
listen_addr = ${PGBOUNCER_ADDRESS:-0.0.0.0}
listen_port = ${PGBOUNCER_PORT:-6432}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = $folder/users.txt
pool_mode = transaction
max_client_conn = 1000
default_pool_size = 20
# Of each database: PostgreSQL's 100 are there for the others too.
max_db_connections = 30
ignore_startup_parameters = extra_float_digits
log_connections = 0
log_disconnections = 0
CONFIG
unset AIRFLOW_DB_PASSWORD PRESAGIO_DB_PASSWORD
exec pgbouncer -q "$folder/pgbouncer.ini"

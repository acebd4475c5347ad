#!/bin/sh
# MLflow reads its accounts' database from a file only, which is written here where only it can read.
set -eu
umask 077
# Empty means Amazon's own.
[ -n "${MLFLOW_S3_ENDPOINT_URL:-}" ] || unset MLFLOW_S3_ENDPOINT_URL
export MLFLOW_AUTH_CONFIG_PATH=/tmp/basic_auth.ini
cat > "$MLFLOW_AUTH_CONFIG_PATH" <<INI
[mlflow]
# Who has an account may read; who creates an experiment or a model may change it.
default_permission = READ
database_uri = $MLFLOW_BACKEND_STORE_URI
admin_username = admin
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
# A password is compared once a minute for each user, not at each request.
auth_cache_ttl_seconds = 60
INI
exec mlflow server --app-name basic-auth --host 0.0.0.0 --port 5000 --workers 1 \
  --artifacts-destination "s3://${MLFLOW_ARTIFACTS_BUCKET:-mlflow}"

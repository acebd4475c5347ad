#!/bin/sh
# One key pair a service, each with the buckets that it needs; SeaweedFS reads them from a file.
set -eu
umask 077
identity() { # name, access key, secret key, actions
  printf '{"name":"%s","credentials":[{"accessKey":"%s","secretKey":"%s"}],"actions":[%s]}' "$@"
}
reads() { # buckets
  for bucket in "$@"; do printf '"Read:%s","List:%s",' "$bucket" "$bucket"; done | sed 's/,$//'
}
may() { # buckets
  for bucket in "$@"; do
    printf '"Read:%s","Write:%s","List:%s","Tagging:%s",' "$bucket" "$bucket" "$bucket" "$bucket"
  done | sed 's/,$//'
}
{
  printf '{"identities":['
  identity admin "$S3_ADMIN_ACCESS_KEY" "$S3_ADMIN_SECRET_KEY" '"Admin"'; printf ','
  identity mlflow "$S3_MLFLOW_ACCESS_KEY" "$S3_MLFLOW_SECRET_KEY" "$(may mlflow)"; printf ','
  identity airflow "$S3_AIRFLOW_ACCESS_KEY" "$S3_AIRFLOW_SECRET_KEY" "$(may csv-data data)"; printf ','
  # The API records answers, and hands outcomes to the intake.
  identity api "$S3_API_ACCESS_KEY" "$S3_API_SECRET_KEY" "$(may csv-data data)"; printf ','
  # The console hands files and outcomes to the intake, and reads what pages show.
  identity console "$S3_CONSOLE_ACCESS_KEY" "$S3_CONSOLE_SECRET_KEY" "$(may csv-data),$(reads data)"; printf ','
  identity monitor "$S3_MONITOR_ACCESS_KEY" "$S3_MONITOR_SECRET_KEY" "$(reads csv-data data)"
  printf ']}'
} > /tmp/s3.json
exec weed mini -dir=/data -s3.port=9010 -s3.config=/tmp/s3.json

#!/bin/sh
# Valkey as the broker of Celery: an account with a password that reads and writes, and no other one.
set -eu
umask 077
cat > /tmp/broker.conf <<CONFIG
bind 0.0.0.0
port 6379
protected-mode yes
dir /data
appendonly yes
appendfsync always
save ""
maxmemory 256mb
maxmemory-policy noeviction
user default off
user airflow on >$BROKER_PASSWORD ~* &* +@all -@admin -@dangerous +info
CONFIG
unset BROKER_PASSWORD
exec valkey-server /tmp/broker.conf

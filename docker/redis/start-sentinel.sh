#!/bin/sh
# Starts a sentinel of docker-compose.yml: start-sentinel.sh <port> <name> <port of the primary>
# What it learns is kept in its file, so a restart forgets no failover.
set -eu

port=$1
name=$2
primary=$3
data=${DATA_FOLDER:-/data}
config=$data/sentinel.conf

if [ ! -f "$config" ]; then
  {
    echo "port $port"
    echo "bind ${BIND:-* -::*}"
    echo 'protected-mode no'
    echo "dir $data"
    echo 'sentinel announce-ip 127.0.0.1'
    echo "sentinel monitor $name 127.0.0.1 $primary 2"
    echo "sentinel down-after-milliseconds $name 3000"
    echo "sentinel failover-timeout $name 10000"
    if [ -n "${REDIS_PASSWORD:-}" ]; then printf 'sentinel auth-pass %s "%s"\n' "$name" "$REDIS_PASSWORD"; fi
  } >"$config.new"
  mv "$config.new" "$config"
fi

exec docker-entrypoint.sh redis-server "$config" --sentinel

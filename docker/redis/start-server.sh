#!/bin/sh
# Starts a server of docker-compose.yml:
#   start-server.sh <port>                     on its own
#   start-server.sh <port> cluster             a node of a cluster
#   start-server.sh <port> replica <primary>   a replica of the server on that port
# The settings are written once and then left to Redis, which keeps in them what a failover has decided.
set -eu

port=$1
role=${2:-alone}
data=${DATA_FOLDER:-/data}
config=$data/redis.conf

if [ ! -f "$config" ]; then
  {
    echo "port $port"
    echo "bind ${BIND:-* -::*}"
    # Ports are published to this machine only, and what is published does not come from 127.0.0.1 inside.
    echo 'protected-mode no'
    echo "dir $data"
    echo 'appendonly yes'
    echo 'appendfsync everysec'
    if [ -n "${REDIS_PASSWORD:-}" ]; then
      printf 'requirepass "%s"\nmasterauth "%s"\n' "$REDIS_PASSWORD" "$REDIS_PASSWORD"
    fi
    case $role in
      cluster)
        echo 'cluster-enabled yes'
        echo 'cluster-config-file nodes.conf'
        echo 'cluster-node-timeout 5000'
        echo 'cluster-announce-ip 127.0.0.1'
        ;;
      replica)
        echo 'replica-announce-ip 127.0.0.1'
        echo "replicaof 127.0.0.1 $3"
        ;;
    esac
  } >"$config.new"
  mv "$config.new" "$config"
fi

# Through the image's own entrypoint, which drops root.
exec docker-entrypoint.sh redis-server "$config"

#!/bin/sh
# Makes one cluster of the nodes on these ports, half of them replicas, unless they are one already; ends when it serves.
set -eu

export REDISCLI_AUTH="${REDIS_PASSWORD:-}"
first=$1

state() {
  redis-cli -p "$first" cluster info | tr -d '\r' | sed -n 's/^cluster_state://p'
}

if [ "$(redis-cli -p "$first" cluster info | tr -d '\r' | sed -n 's/^cluster_known_nodes://p')" = 1 ]; then
  nodes=''
  for port in "$@"; do nodes="$nodes 127.0.0.1:$port"; done
  # shellcheck disable=SC2086 -- one word for each node
  redis-cli --cluster create $nodes --cluster-replicas 1 --cluster-yes
fi

tries=0
until [ "$(state)" = ok ]; do
  tries=$((tries + 1))
  if [ "$tries" -gt 60 ]; then
    echo 'the nodes did not become a cluster within a minute' >&2
    exit 1
  fi
  sleep 1
done
echo "the cluster serves: $*"

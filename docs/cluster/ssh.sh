#!/bin/sh
# A Dask scheduler here and a worker on each host, until Ctrl-C:
#     TINSMITH_STORE=s3://builds/store ./ssh.sh 10.0.0.1 rack1 rack2 rack3
# 10.0.0.1 is the address at which the hosts reach this machine. Each host has tinsmith on its PATH, and the store's
# credentials (AWS_ACCESS_KEY_ID and so on) in the environment that ssh gives.
set -eu
here="$1"
port="${PORT:-8786}"
shift
started=""
trap 'trap "" INT TERM; kill $started 2>/dev/null || true; wait' EXIT
trap 'exit 130' INT TERM
dask scheduler --host "$here" --port "$port" --no-dashboard &
started="$started $!"
for host in "$@"; do
  # With a terminal (-tt) the worker ends when the connection does.
  ssh -tt -o BatchMode=yes "$host" \
    "tinsmith worker --scheduler 'tcp://$here:$port' --store '$TINSMITH_STORE' --name '$host'" </dev/null &
  started="$started $!"
done
echo "tinsmith build MANIFEST --engine dask --scheduler tcp://$here:$port"
wait

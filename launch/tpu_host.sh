#!/usr/bin/env bash
# The part of tpu_pod.sh that runs on a host of the slice, from the code that was copied there.
#
#   tpu_host.sh install COMMIT | start FLAG... | follow LINES | stop | status
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

demand() { # demand WHAT VALUE PATTERN EXPECTED
  if [[ ! $2 =~ ^($3)$ ]]; then
    printf 'tpu_host.sh: %s: got %q, expected %s\n' "$1" "$2" "$4" >&2
    exit 2
  fi
}

running() { # whether the process of the last start is running
  [ -e pid ] && ps -o args= -p "$(cat pid)" 2>/dev/null | grep -q jaxgan.main
}

case ${1-} in
  install) # uv installs a Python, because the hosts' own is too old for jaxgan
    demand install "${2-}" '[0123456789abcdef]{40,64}' "a full commit hash"
    python3 -m pip install --quiet --user 'uv==0.13.9'
    python3 -m uv venv --quiet --python 3.12 .venv
    python3 -m uv pip install --quiet --python .venv/bin/python -c launch/constraints.txt -e '.[gcs,plots]' 'jax[tpu]'
    touch "installed-$2"
    ;;
  start) # detached from the connection that starts it
    shift
    ! running || kill -KILL "$(cat pid)" # left over from a start whose other processes have ended
    rm -f status
    setsid nohup bash launch/tpu_host.sh run "$@" >log.txt 2>&1 </dev/null &
    ;;
  run)
    shift
    .venv/bin/python -u -m jaxgan.main "$@" &
    echo $! >pid
    status=0
    wait $! || status=$?
    echo "$status" >status
    ;;
  follow) # print the log from its last LINES lines on (+1: from the first line), until the process ends
    demand follow "${2-}" '[+]?[0123456789]{1,9}' "a number of lines"
    tail -n "$2" -F log.txt 2>/dev/null &
    until [ -e status ]; do sleep 1; done
    sleep 1
    kill $!
    ;;
  stop) ! running || kill -TERM "$(cat pid)" ;; # it saves and ends
  status) echo "status $(cat status 2>/dev/null || echo running)" ;;
  *)
    demand "what to do" "${1-}" install "install, start, follow, stop or status"
    ;;
esac

#!/usr/bin/env bash
# N processes of one training on this host. See docs/launch.md.
#
#   launch/local.sh 2 -- --config configs/quickstart.py --workdir runs/quickstart
#
# They connect on the loopback interface, at a free port. Their output is prefixed with the number of the process.
# If one fails, the others are stopped. An interrupted run that has saved is started again; a crashed run is, too, up to
# a limit. Ctrl-C and SIGTERM are passed on: all processes save, and nothing is started again.
set -euo pipefail
here=$(CDPATH="" cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=launch/statuses.sh
. "$here/statuses.sh"
# shellcheck source=launch/checks.sh
. "$here/checks.sh"

MOST_PROCESSES=1024 MOST_GPUS=64 MOST_COUNTED=999999

help_text() {
  cat <<END
usage: launch/local.sh N [--max-crashes=3] [--grace=60] [--pause=2] [--gpus-each=0] -- FLAGS OF JAXGAN
  N              number of processes; 1 is plain training with the same restarts
  --max-crashes  maximum number of restarts after crashes
  --grace        seconds that the other processes have to end after one has failed
  --pause        seconds before a restart
  --gpus-each    number of GPUs visible to each process (CUDA_VISIBLE_DEVICES); 0: all GPUs
The variable PYTHON names the interpreter (default: python).
END
}

say() { echo "local.sh: $*" >&2; }

mistake() { # mistake MESSAGE
  say "$1; see launch/local.sh --help"
  exit 2
}

case ${1-} in
  -h | --help)
    help_text
    exit 0
    ;;
esac
number=${1-}
is_whole "$number" 1 "$MOST_PROCESSES" ||
  mistake "got $(shown "$number") as the number of processes, expected 1 to $MOST_PROCESSES"
shift
python=${PYTHON:-python} max_crashes=3 grace=60 pause=2 gpus_each=0
while [ "${1-}" != -- ]; do
  [ $# -gt 0 ] || mistake "'--' is missing before the flags of jaxgan"
  flag=${1%%=*} value=${1#*=} most=$MOST_COUNTED
  case $1 in
    --max-crashes=* | --grace=* | --pause=*) ;;
    --gpus-each=*) most=$MOST_GPUS ;;
    *) mistake "got $(shown "$1"), expected one of --max-crashes, --grace, --pause and --gpus-each, as --flag=number" ;;
  esac
  is_whole "$value" 0 "$most" || mistake "$flag: got $(shown "$value"), expected a whole number from 0 to $most"
  case $flag in
    --max-crashes) max_crashes=$value ;;
    --grace) grace=$value ;;
    --pause) pause=$value ;;
    --gpus-each) gpus_each=$value ;;
  esac
  shift
done
shift
[ -n "$(type -P -- "$python")" ] || mistake "PYTHON: got $(shown "$python"), expected a program"

scratch=$(mktemp -d)
pids=() readers=() ended=()
signalled="" # the signal that asked this script to end

cleanup() {
  local pid
  for pid in ${pids[@]+"${pids[@]}"} ${readers[@]+"${readers[@]}"}; do
    [ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null || true
  done
  rm -rf "$scratch"
}
trap cleanup EXIT

signal_all() { # signal_all NAME: send it to every process that is still running
  local pid
  for pid in ${pids[@]+"${pids[@]}"}; do
    [ -z "$pid" ] || kill -s "$1" "$pid" 2>/dev/null || true
  done
}

pass_on() { # pass_on SIGNAL
  signalled=$1
  # TERM also on Ctrl-C: the terminal sends SIGINT to the processes itself, and a second one would keep them from saving
  signal_all TERM
}
trap 'pass_on INT' INT
trap 'pass_on TERM' TERM HUP

free_port() { "$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

start() { # start I PORT FLAG...: process I in the background
  local i=$1 port=$2 line command=()
  shift 2
  if [ "$gpus_each" -gt 0 ]; then
    command=(env "CUDA_VISIBLE_DEVICES=$(seq -s , $((i * gpus_each)) $(((i + 1) * gpus_each - 1)))")
  fi
  command+=("$python" -m jaxgan.main "$@")
  if [ "$number" -gt 1 ]; then
    command+=(--coordinator "127.0.0.1:$port" --num_processes "$number" --process_id "$i")
  fi
  rm -f "$scratch/$i"
  mkfifo "$scratch/$i"
  while IFS= read -r line || [ -n "$line" ]; do
    printf '[%s] %s\n' "$i" "$line"
  done <"$scratch/$i" &
  readers[i]=$!
  "${command[@]}" </dev/null >"$scratch/$i" 2>&1 &
  pids[i]=$!
}

wait_for_all() { # wait until all have ended; their statuses go to `ended`, in the order in which they ended
  local left=$number i status deadline=""
  ended=()
  while [ "$left" -gt 0 ]; do
    for ((i = 0; i < number; i++)); do
      if [ -z "${pids[i]}" ] || kill -0 "${pids[i]}" 2>/dev/null; then
        continue
      fi
      status=0
      wait "${pids[i]}" 2>/dev/null || status=$?
      pids[i]="" ended+=("$status") left=$((left - 1))
      if [ "$status" -ne 0 ] && [ -z "$deadline" ]; then
        say "process $i ended with status $status ($(meaning "$status"))"
        deadline=$((SECONDS + grace))
        [ "$status" -eq 75 ] || signal_all TERM # after 75 the others are saving as well
      fi
    done
    if [ -n "$deadline" ] && [ "$SECONDS" -ge "$deadline" ]; then
      signal_all KILL
    fi
    sleep 0.2
  done
}

wait_for_output() { # wait until all output is printed, but not for ever: a child process may keep the pipe open
  local reader patience=50
  for reader in "${readers[@]}"; do
    while kill -0 "$reader" 2>/dev/null && [ "$patience" -gt 0 ]; do
      sleep 0.1
      patience=$((patience - 1))
    done
    kill "$reader" 2>/dev/null || true
    wait "$reader" 2>/dev/null || true
  done
  readers=()
}

crashes=0
while true; do
  port=$(free_port)
  for ((process = 0; process < number; process++)); do
    start "$process" "$port" "$@"
  done
  [ -z "$signalled" ] || signal_all TERM # the signal arrived while processes were being started
  wait_for_all
  wait_for_output
  status=$(worst "${ended[@]}")
  if [ -z "$signalled" ]; then
    case $(meaning "$status") in
      interrupted) say "saved and interrupted: starting again" ;;
      crashed)
        crashes=$((crashes + 1))
        if [ "$crashes" -gt "$max_crashes" ]; then
          say "crashed $crashes times: not started again"
          exit "$status"
        fi
        say "crashed: starting again ($crashes of $max_crashes)"
        ;;
      *) exit "$status" ;;
    esac
    sleep "$pause"
  fi
  if [ "$signalled" = INT ] && [ "$status" -ne 0 ]; then
    exit 130
  elif [ -n "$signalled" ]; then
    exit "$status"
  fi
done

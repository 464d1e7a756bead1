#!/usr/bin/env bash
# One training on all hosts of a Cloud TPU slice. See docs/launch.md; --dry-run prints the commands and runs none.
#
#   launch/tpu_pod.sh --name=gan --zone=us-west4-a --type=v5litepod-16 -- \
#       --config configs/stylegan2.py --workdir gs://bucket/runs/x
#
# Uses the slice of that name or creates one, copies the code at a commit to every host, installs it, runs it everywhere
# and follows the log of the first host. An interrupted run is started again, on a new slice if the old one was
# preempted; a crashed run is started again up to a limit. On exit, for any reason, the script deletes a slice that it
# created.
set -euo pipefail
here=$(CDPATH="" cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=launch/statuses.sh
. "$here/statuses.sh"
# shellcheck source=launch/checks.sh
. "$here/checks.sh"

help_text() {
  cat <<END
usage: launch/tpu_pod.sh --name=NAME --zone=ZONE --type=TYPE [OPTIONS] -- FLAGS OF JAXGAN
  --name          name of the slice; an existing slice is used and never deleted
  --zone          zone, such as us-west4-a
  --type          accelerator, such as v5litepod-16, v6e-16, v5p-32
  --version       version of the TPU software; default: the one for the type
  --project       Google Cloud project; default: gcloud's own
  --spot          use spot capacity, which may be preempted at any time
  --commit        commit of this repository; default: HEAD
  --max-restarts  maximum number of restarts after interruptions; default: 20
  --max-crashes   maximum number of restarts after crashes; default: 3
  --keep          do not delete the slice that was created
  --dry-run       print the commands in order and run none
END
}

say() { echo "tpu_pod.sh: $*" >&2; }

mistake() { # mistake MESSAGE
  say "$1; see launch/tpu_pod.sh --help"
  exit 2
}

demand() { # demand FLAG VALUE PATTERN EXPECTED: so that gcloud cannot take a value for something else
  [[ $2 =~ ^($3)$ ]] || mistake "$1: got $(shown "$2"), expected $4"
}

in_bucket() { # in_bucket FLAG...: whether the workdir is a gs:// path
  local before="" flag
  for flag in "$@"; do
    case $before$flag in --workdir=gs://?* | --workdir' 'gs://?*) return 0 ;; esac
    before=""
    [ "$flag" != --workdir ] || before="--workdir "
  done
  return 1
}

name="" zone="" type="" version="" project="" commit=HEAD spot="" keep="" dry="" max_restarts=20 max_crashes=3
case ${1-} in
  -h | --help)
    help_text
    exit 0
    ;;
esac
while [ "${1-}" != -- ]; do
  [ $# -gt 0 ] || mistake "'--' is missing before the flags of jaxgan"
  case $1 in
    --name=*) name=${1#*=} ;;
    --zone=*) zone=${1#*=} ;;
    --type=*) type=${1#*=} ;;
    --version=?*) version=${1#*=} ;;
    --project=?*) project=${1#*=} ;;
    --commit=*) commit=${1#*=} ;;
    --max-restarts=*) max_restarts=${1#*=} ;;
    --max-crashes=*) max_crashes=${1#*=} ;;
    --spot) spot=yes ;;
    --keep) keep=yes ;;
    --dry-run) dry=yes ;;
    *) mistake "got $(shown "$1"), expected --flag=value or --switch" ;;
  esac
  shift
done
shift
if [ -z "$name" ] || [ -z "$zone" ] || [ -z "$type" ]; then
  mistake "--name, --zone and --type are required"
fi
lower=abcdefghijklmnopqrstuvwxyz
demand --name "$name" "[$lower]([-$lower$digits]{0,61}[$lower$digits])?" "at most 63 of a-z, 0-9 and -, beginning with a letter"
demand --zone "$zone" "[$lower][-$lower$digits]{0,62}" "a zone of Google Cloud, such as us-west4-a"
demand --type "$type" "v[$lower$digits]{1,20}-[123456789][$digits]{0,5}" "a type and its size, such as v5litepod-16"
demand --version "${version:-x}" "[$lower$digits][-.$lower$digits]{0,99}" "a version of the TPU software"
demand --project "${project:-x}" "[$lower$digits][-.:$lower$digits]{0,99}" "the name of a project"
is_whole "$max_restarts" 0 999999 ||
  mistake "--max-restarts: got $(shown "$max_restarts"), expected a whole number from 0 to 999999"
is_whole "$max_crashes" 0 999999 ||
  mistake "--max-crashes: got $(shown "$max_crashes"), expected a whole number from 0 to 999999"
settle=${SETTLE:-60}
is_whole "$settle" 0 999999 || mistake "SETTLE: got $(shown "$settle"), expected whole seconds from 0 to 999999"
if ! in_bucket "$@" && [ -z "$keep" ]; then
  mistake "--workdir: expected a gs:// path, because the disks of the slice are deleted with it (or give --keep)"
fi
if [ -z "$version" ]; then
  case $type in # cloud.google.com/tpu/docs/runtimes
    v5litepod-*) version=v2-alpha-tpuv5-lite ;;
    v5p-*) version=v2-alpha-tpuv5 ;;
    v6e-*) version=v2-alpha-tpuv6e ;;
    v[234]-*) version=tpu-ubuntu2204-base ;;
    *) mistake "--version is missing: there is no default for --type=$type" ;;
  esac
fi
full=""
[[ $commit == -* ]] || full=$(git -C "$here/.." rev-parse --verify --quiet "$commit^{commit}") || true
[[ $full =~ ^[0123456789abcdef]{40,64}$ ]] ||
  mistake "--commit: got $(shown "$commit"), expected a commit of this repository"
[ -n "$dry" ] || [ -n "$(type -P gcloud)" ] || mistake "gcloud is missing: install it, or give --dry-run"

made=""      # whether this script created the slice and has to delete it
signalled="" # the signal that asked this script to end
now=""       # the state of the slice
status=130   # of the run: the worst of its hosts' statuses
scratch=$(mktemp -d)
where=("--zone=$zone" --quiet)
[ -z "$project" ] || where+=("--project=$project")

quote() { # quote WORD...: quoted for a shell
  local word
  for word in "$@"; do
    case $word in
      *[!A-Za-z0-9_./:=,@%+-]* | "") printf " '%s'" "$(printf %s "$word" | sed "s/'/'\\\\''/g")" ;;
      *) printf ' %s' "$word" ;;
    esac
  done
}

run() { # run COMMAND...: run it, or print it with --dry-run
  if [ -n "$dry" ]; then
    local line
    line=$(quote "$@")
    echo "${line# }"
  else
    "$@"
  fi
}

tpu() { run gcloud compute tpus tpu-vm "$@" "${where[@]}"; }

on() { tpu ssh "$name" "--worker=$1" "--command=$2"; } # on WORKERS COMMAND: run it in their shells

look() { # set the state of the slice: READY, CREATING, PREEMPTED, ...; empty if there is none
  if [ -n "$dry" ]; then
    tpu describe "$name" '--format=value(state)'
  else
    now=$(tpu describe "$name" '--format=value(state)' 2>/dev/null) || now=""
  fi
}

delete() {
  say "deleting $name"
  tpu delete "$name" && made=""
}

# shellcheck disable=SC2329 # called by the trap
cleanup() {
  rm -rf "$scratch"
  if [ -n "$made" ] && [ -n "$keep" ]; then
    say "$name is kept, and paid for until: gcloud compute tpus tpu-vm delete $name ${where[*]}"
  elif [ -n "$made" ]; then
    delete || say "$name COULD NOT BE DELETED and is paid for: gcloud compute tpus tpu-vm delete $name ${where[*]}"
  fi
}
trap cleanup EXIT

take() { # use the slice of the name or create it; a preempted one of ours is rebuilt
  local options=("--accelerator-type=$type" "--version=$version")
  [ -z "$spot" ] || options+=(--spot)
  look
  if [ -n "$now" ] && [ "$now" != READY ] && [ -n "$made" ]; then
    say "$name is $now"
    delete
    now=""
  fi
  case $now in
    READY) ;;
    "")
      say "making $name, $type in $zone"
      made=yes # set before, because a partly created slice costs money as well
      tpu create "$name" "${options[@]}"
      ;;
    *)
      say "$name is $now and not ours to delete: delete it, or give another --name"
      exit 2
      ;;
  esac
}

install_code() { # install the code at the commit on every host, unless it is there already
  local found
  if [ -z "$dry" ]; then
    found=$(on all "test -e jaxgan/installed-$full && echo code is there || echo code is missing") || return
    [[ $found != *"code is there"* || $found == *"code is missing"* ]] || return 0
  fi
  run git -C "$here/.." archive --format=tar.gz "--output=$scratch/jaxgan.tar.gz" "$full" &&
    tpu scp "$scratch/jaxgan.tar.gz" "$name:jaxgan.tar.gz" --worker=all &&
    on all "rm -rf jaxgan && mkdir jaxgan && tar -xzf jaxgan.tar.gz -C jaxgan && \
bash jaxgan/launch/tpu_host.sh install $full"
}

follow() { # show the first host's log until its process has ended; then set `status` to the worst of the hosts
  local lines=+1 follower found later
  status=""
  while [ -z "$status" ]; do
    on 0 "bash jaxgan/launch/tpu_host.sh follow $lines" &
    follower=$!
    while kill -0 "$follower" 2>/dev/null; do
      wait "$follower" || true # a signal interrupts `wait`; the run then ends soon
    done
    lines=20 # after a lost connection the run continues
    look
    if [ -n "$dry" ]; then
      status=0
    elif [ "$now" != READY ]; then
      say "$name is ${now:-gone}"
      status=75
    elif found=$(statuses) && [ -n "$found" ]; then
      sleep "$settle" # the end of one process ends the others in this time
      later=$(statuses) || later=$found
      # shellcheck disable=SC2086
      status=$(worst ${later:-$found})
    fi
  done
}

statuses() { # print the exit statuses of the hosts whose processes have ended
  on all "bash jaxgan/launch/tpu_host.sh status" 2>/dev/null | sed -n 's/^.*status \([0-9][0-9]*\)$/\1/p'
}

# shellcheck disable=SC2329 # called by the traps
pass_on() { # pass_on SIGNAL: ask the run to save and to end
  signalled=$1
  say "asking the run to save and to end"
  on all "bash jaxgan/launch/tpu_host.sh stop" || true
}
trap 'pass_on INT' INT
trap 'pass_on TERM' TERM HUP

play() { # play FLAG...: start the run once and wait for its end
  if install_code && on all "bash jaxgan/launch/tpu_host.sh start$(quote "$@")"; then
    follow
  else
    look
    if [ "$now" = READY ]; then
      status=1
    else
      status=75
    fi
  fi
}

[ -z "$dry" ] || say "as if there were no slice $name yet, and the run finished at once"
restarts=0 crashes=0
while [ -z "$signalled" ]; do
  take
  play "$@"
  [ -z "$signalled" ] || break
  case $(meaning "$status") in
    interrupted)
      restarts=$((restarts + 1))
      [ "$restarts" -le "$max_restarts" ] || break
      say "interrupted: starting again ($restarts of $max_restarts)"
      ;;
    crashed)
      crashes=$((crashes + 1))
      [ "$crashes" -le "$max_crashes" ] || break
      say "crashed with status $status: starting again ($crashes of $max_crashes)"
      ;;
    *) break ;;
  esac
done
[ -n "$dry" ] || say "ended with status $status ($(meaning "$status"))"
if [ "$signalled" = INT ] && [ "$status" -ne 0 ]; then
  exit 130
fi
exit "$status"

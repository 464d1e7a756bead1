#!/usr/bin/env bash
# One training on all hosts of a Cloud TPU slice. See docs/launch.md; --dry-run prints the commands and runs none.
#
#   launch/tpu_pod.sh --name=gan --zone=us-west4-a --type=v5litepod-16 -- \
#       --config configs/stylegan2.py --workdir gs://bucket/runs/x
#
# Takes the slice of that name or makes one, copies the code at a commit to every host, installs it, runs it everywhere
# and follows the log of the first host. What was interrupted is started again, on a new slice where the old one was
# withdrawn; what crashed, up to a limit. At the end, however it comes, it deletes the slice if it made it.
set -euo pipefail
here=$(CDPATH="" cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=launch/statuses.sh
. "$here/statuses.sh"
# shellcheck source=launch/checks.sh
. "$here/checks.sh"

help_text() {
  cat <<END
usage: launch/tpu_pod.sh --name=NAME --zone=ZONE --type=TYPE [OPTIONS] -- FLAGS OF JAXGAN
  --name          of the slice; one that is there is used, and never deleted
  --zone          such as us-west4-a
  --type          the accelerator, such as v5litepod-16, v6e-16, v5p-32
  --version       of the TPU software; default: the one for the type
  --project       of Google Cloud; default: gcloud's own
  --spot          takes capacity that may be withdrawn at any time
  --commit        of this repository; default: HEAD
  --max-restarts  after interruptions; default: 20
  --max-crashes   how often a crash is started again; default: 3
  --keep          does not delete the slice that it made
  --dry-run       prints each command in its order and runs none
END
}

say() { echo "tpu_pod.sh: $*" >&2; }

mistake() { # mistake WHAT_IS_WRONG
  say "$1; see launch/tpu_pod.sh --help"
  exit 2
}

demand() { # demand FLAG VALUE PATTERN WHAT_IS_ACCEPTED: gcloud gets nothing that it could take for something else
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
    *) mistake "got $(shown "$1"), expected --flag=value and --switch" ;;
  esac
  shift
done
shift
if [ -z "$name" ] || [ -z "$zone" ] || [ -z "$type" ]; then
  mistake "--name, --zone and --type are needed"
fi
lower=abcdefghijklmnopqrstuvwxyz
demand --name "$name" "[$lower]([-$lower$digits]{0,61}[$lower$digits])?" "at most 63 of a-z, 0-9 and -, from a letter on"
demand --zone "$zone" "[$lower][-$lower$digits]{0,62}" "a zone of Google Cloud, such as us-west4-a"
demand --type "$type" "v[$lower$digits]{1,20}-[123456789][$digits]{0,5}" "a type and its size, such as v5litepod-16"
demand --version "${version:-x}" "[$lower$digits][-.$lower$digits]{0,99}" "a version of the TPU software"
demand --project "${project:-x}" "[$lower$digits][-.:$lower$digits]{0,99}" "the name of a project"
is_whole "$max_restarts" 0 999999 ||
  mistake "--max-restarts: got $(shown "$max_restarts"), expected whole numbers from 0 to 999999"
is_whole "$max_crashes" 0 999999 ||
  mistake "--max-crashes: got $(shown "$max_crashes"), expected whole numbers from 0 to 999999"
settle=${SETTLE:-60}
is_whole "$settle" 0 999999 || mistake "SETTLE: got $(shown "$settle"), expected whole seconds from 0 to 999999"
if ! in_bucket "$@" && [ -z "$keep" ]; then
  mistake "--workdir must be a gs:// path: what lies on the disks of the slice is deleted with it (or give --keep)"
fi
if [ -z "$version" ]; then
  case $type in # cloud.google.com/tpu/docs/runtimes
    v5litepod-*) version=v2-alpha-tpuv5-lite ;;
    v5p-*) version=v2-alpha-tpuv5 ;;
    v6e-*) version=v2-alpha-tpuv6e ;;
    v[234]-*) version=tpu-ubuntu2204-base ;;
    *) mistake "--version is needed: it is not known here for --type=$type" ;;
  esac
fi
full=""
[[ $commit == -* ]] || full=$(git -C "$here/.." rev-parse --verify --quiet "$commit^{commit}") || true
[[ $full =~ ^[0123456789abcdef]{40,64}$ ]] ||
  mistake "--commit: there is no commit $(shown "$commit")"
[ -n "$dry" ] || [ -n "$(type -P gcloud)" ] || mistake "there is no gcloud here: install it, or give --dry-run"

made=""    # whether the slice is ours to delete
told=""    # the signal that asked us to end
now=""     # the state of the slice
status=130 # of the run: which of its hosts' counts
scratch=$(mktemp -d)
where=("--zone=$zone" --quiet)
[ -z "$project" ] || where+=("--project=$project")

quote() { # quote WORD...: as a shell reads them back
  local word
  for word in "$@"; do
    case $word in
      *[!A-Za-z0-9_./:=,@%+-]* | "") printf " '%s'" "$(printf %s "$word" | sed "s/'/'\\\\''/g")" ;;
      *) printf ' %s' "$word" ;;
    esac
  done
}

run() { # run COMMAND...: runs it, or prints it
  if [ -n "$dry" ]; then
    local line
    line=$(quote "$@")
    echo "${line# }"
  else
    "$@"
  fi
}

tpu() { run gcloud compute tpus tpu-vm "$@" "${where[@]}"; }

on() { tpu ssh "$name" "--worker=$1" "--command=$2"; } # on WORKERS COMMAND: in a shell of theirs

look() { # how the slice is: READY, CREATING, PREEMPTED, ...; empty where there is none
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

take() { # takes the slice of the name, or makes it; ours that was withdrawn is made anew
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
      made=yes # before it is: one that is half made is paid for, too
      tpu create "$name" "${options[@]}"
      ;;
    *)
      say "$name is $now and not ours to delete: delete it, or give another --name"
      exit 2
      ;;
  esac
}

install_code() { # the code at the commit, on every host, where it is not there yet
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

follow() { # shows the first host's log until its process has ended; then `status` is the one that counts
  local lines=+1 follower found later
  status=""
  while [ -z "$status" ]; do
    on 0 "bash jaxgan/launch/tpu_host.sh follow $lines" &
    follower=$!
    while kill -0 "$follower" 2>/dev/null; do
      wait "$follower" || true # a signal ends the waiting; the run then ends soon
    done
    lines=20 # the connection may have broken: the run goes on
    look
    if [ -n "$dry" ]; then
      status=0
    elif [ "$now" != READY ]; then
      say "$name is ${now:-gone}"
      status=75
    elif found=$(statuses) && [ -n "$found" ]; then
      sleep "$settle" # in which the end of one process ends the others
      later=$(statuses) || later=$found
      # shellcheck disable=SC2086
      status=$(worst ${later:-$found})
    fi
  done
}

statuses() { # the exit statuses of the hosts whose processes have ended
  on all "bash jaxgan/launch/tpu_host.sh status" 2>/dev/null | sed -n 's/^.*status \([0-9][0-9]*\)$/\1/p'
}

# shellcheck disable=SC2329 # called by the traps
pass_on() { # pass_on SIGNAL: the run is asked to save and end
  told=$1
  say "asking the run to save and to end"
  on all "bash jaxgan/launch/tpu_host.sh stop" || true
}
trap 'pass_on INT' INT
trap 'pass_on TERM' TERM HUP

play() { # play FLAG...: one start of the run, to its end
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
while [ -z "$told" ]; do
  take
  play "$@"
  [ -z "$told" ] || break
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
if [ "$told" = INT ] && [ "$status" -ne 0 ]; then
  exit 130
fi
exit "$status"

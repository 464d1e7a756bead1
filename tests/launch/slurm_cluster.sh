#!/usr/bin/env bash
# A real Slurm of one node on this machine, for tests; needs neither systemd nor a network.
#
#   tests/launch/slurm_cluster.sh start [--install] FOLDER   starts munged, slurmctld and slurmd; says what to export
#   tests/launch/slurm_cluster.sh stop FOLDER
#
# --install gets what is missing with apt-get. Everything the daemons write lies in FOLDER.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin

fail() {
  echo "slurm_cluster.sh: $*" >&2
  exit 1
}

install=""
action=${1-}
shift || true
if [ "${1-}" = --install ]; then
  install=yes
  shift
fi
folder=${1-}
if [ -z "$folder" ] || [[ ! $action =~ ^(start|stop)$ ]]; then
  fail "got '$action $folder', expected: start [--install] FOLDER, stop FOLDER"
fi
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

end() { # end NAME: the daemon, and whatever it still runs
  local pid
  pid=$(cat "$folder/$1.pid" 2>/dev/null) || return 0
  kill "$pid" 2>/dev/null || return 0
  for _ in {1..50}; do
    kill -0 "$pid" 2>/dev/null || return 0
    sleep 0.1
  done
  kill -KILL "$pid" 2>/dev/null || true
}

if [ "$action" = stop ]; then
  end slurmd
  end slurmctld
  end munged
  exit 0
fi

missing=""
for program in munged slurmctld slurmd srun; do
  command -v "$program" >/dev/null || missing="$missing $program"
done
if [ -n "$missing" ] && [ -n "$install" ]; then
  apt-get -qq update
  DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends slurm-wlm munge >/dev/null
elif [ -n "$missing" ]; then
  fail "there is no$missing: apt-get install slurm-wlm munge, or --install"
fi

user=$(id -un) host=$(hostname -s)
mkdir -p "$folder/state" "$folder/spool" "$folder/munge"
chmod 755 "$folder" "$folder/munge" # munged looks at the modes of what is around its socket
chmod 700 "$folder/state" "$folder/spool"
(umask 077 && head -c 1024 /dev/urandom >"$folder/munge.key")
cat >"$folder/slurm.conf" <<END
ClusterName=jaxgan
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=16817
SlurmdPort=16818
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
CredType=cred/munge
# a job that is queued again waits as long as a credential lives: two minutes, but for this
AuthInfo=socket=$folder/munge/socket,cred_expire=10
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/builtin
SchedulerParameters=sched_interval=1
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=10
NodeName=$host NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
export SLURM_CONF=$folder/slurm.conf
munged --key-file="$folder/munge.key" --socket="$folder/munge/socket" --pid-file="$folder/munged.pid" \
  --log-file="$folder/munged.log" --seed-file="$folder/munge.seed" --force 2>/dev/null
slurmctld -c -f "$SLURM_CONF"
slurmd -f "$SLURM_CONF"
for _ in {1..100}; do
  if [ "$(sinfo -h -o %T 2>/dev/null)" = idle ]; then
    echo "export SLURM_CONF=$SLURM_CONF"
    exit 0
  fi
  sleep 0.2
done
tail -n 20 "$folder"/*.log >&2 || true
"$0" stop "$folder"
fail "the node did not come up; its logs are above"

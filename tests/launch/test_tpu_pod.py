"""launch/tpu_pod.sh with a stand-in for gcloud: slices are folders, their hosts' shells run in them."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import pytest

from jaxgan.errors import CTRL_C, FINISHED, GAVE_UP, INTERRUPTED, MISTAKE

ROOT = pathlib.Path(__file__).parents[2]
FLAGS = ("--config", "configs/x y.py", "--workdir", "gs://bucket/it's")
SLICE = ("--name=gan", "--zone=us-west4-a", "--type=v5litepod-16")
GCLOUD = r"""#!/usr/bin/env bash
# compute tpus tpu-vm VERB ...: `clouds/state` is how the slice is, `clouds/0` and `clouds/1` are the homes of its hosts
shift 3
verb=$1 clouds=$(dirname "$0")/clouds worker=0
echo "$*" >>"$clouds/calls"
for each in "$@"; do
  case $each in
    --worker=*) worker=${each#*=} ;;
    --command=*) command=${each#*=} ;;
  esac
done
[ "$worker" != all ] || worker="0 1"
case $verb in
  describe) cat "$clouds/state" ;;
  create) [ ! -e "$clouds/full" ] || exit 1; mkdir -p "$clouds/0" "$clouds/1"; echo READY >"$clouds/state" ;;
  delete) rm -r "$clouds/state" "$clouds/0" "$clouds/1" ;;
  scp) for each in $worker; do cp "$2" "$clouds/$each/${3#*:}" || exit; done ;;
  ssh) for each in $worker; do (cd "$clouds/$each" && HOME=$PWD HOST=$each bash -c "$command") || exit; done ;;
esac
"""
# on the hosts: makes the environment whose Python is `run` below
PYTHON3 = r"""#!/usr/bin/env bash
echo "python3 $*" >>"$HOME/installed"
[ "$3" != venv ] || { mkdir -p .venv/bin && cp "$(dirname "$0")/run" .venv/bin/python; }
"""
RUN = r"""#!/usr/bin/env bash
clouds=$(dirname "$(cd ~ && pwd)")
for each in "$@"; do printf '<%s>' "$each"; done
echo "$*" >>"$clouds/starts.$HOST"
start=$(wc -l <"$clouds/starts.$HOST")
. "$clouds/plan"
"""


class Cloud:
    """A repository with the launcher in it, and a project of Google Cloud without a slice."""

    def __init__(self, path):
        self.path, self.clouds, self.repository = path, path / "bin" / "clouds", path / "repository"
        self.clouds.mkdir(parents=True)
        for name, body in (("gcloud", GCLOUD), ("python3", PYTHON3), ("run", RUN)):
            (path / "bin" / name).write_text(body)
            (path / "bin" / name).chmod(0o755)
        self.repository.mkdir()
        shutil.copytree(ROOT / "launch", self.repository / "launch")
        self.git("init", "--quiet")
        self.git("add", ".")
        self.git("-c", "user.name=x", "-c", "user.email=x@x.x", "commit", "--quiet", "-m", "it")
        self.commit = self.git("rev-parse", "HEAD").strip()
        (self.repository / "later.txt").write_text("not in the commit")

    def git(self, *arguments):
        command = ["git", "-C", self.repository, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def begin(self, plan, *arguments, flags=FLAGS):
        (self.clouds / "plan").write_text(plan)
        return subprocess.Popen(
            [self.repository / "launch" / "tpu_pod.sh", *arguments, "--", *flags],
            env=os.environ | {"PATH": f"{self.path / 'bin'}:{os.environ['PATH']}", "SETTLE": "0"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def launch(self, plan, *arguments, **keywords):
        """Runs to the end; status, output, errors."""
        process = self.begin(plan, *arguments, **keywords)
        output, errors = process.communicate(timeout=60)
        return process.returncode, output, errors

    def make(self, state="READY"):
        """A slice of somebody."""
        for host in "01":
            (self.clouds / host).mkdir()
        (self.clouds / "state").write_text(state)

    @property
    def calls(self):
        """The verbs that were used, but for those that only look."""
        path = self.clouds / "calls"
        verbs = [line.split()[0] for line in path.read_text().splitlines()] if path.exists() else []
        return [verb for verb in verbs if verb not in ("describe", "ssh")]

    def starts(self, host=0):
        path = self.clouds / f"starts.{host}"
        return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.fixture
def cloud(tmp_path):
    return Cloud(tmp_path)


def test_a_dry_run_prints_each_command_and_runs_none(cloud):
    status, output, _ = cloud.launch("", *SLICE, "--spot", "--project=p", "--dry-run")
    assert status == FINISHED
    assert not (cloud.clouds / "calls").exists()
    assert not (cloud.clouds / "state").exists()
    where = "--zone=us-west4-a --quiet --project=p"
    vm, at, host = "gcloud compute tpus tpu-vm", cloud.commit, "bash jaxgan/launch/tpu_host.sh"
    flags = r"--config '\''configs/x y.py'\'' --workdir '\''gs://bucket/it'\''\'\'''\''s'\''"
    assert re.sub(r"/\S*/jaxgan.tar.gz", "ARCHIVE", output.replace(str(cloud.repository), "HERE")).splitlines() == [
        f"{vm} describe gan '--format=value(state)' {where}",
        f"{vm} create gan --accelerator-type=v5litepod-16 --version=v2-alpha-tpuv5-lite --spot {where}",
        f"git -C HERE/launch/.. archive --format=tar.gz --output=ARCHIVE {at}",
        f"{vm} scp ARCHIVE gan:jaxgan.tar.gz --worker=all {where}",
        f"{vm} ssh gan --worker=all '--command=rm -rf jaxgan && mkdir jaxgan && "
        f"tar -xzf jaxgan.tar.gz -C jaxgan && {host} install {at}' {where}",
        f"{vm} ssh gan --worker=all '--command={host} start {flags}' {where}",
        f"{vm} ssh gan --worker=0 '--command={host} follow +1' {where}",
        f"{vm} describe gan '--format=value(state)' {where}",
        f"{vm} delete gan {where}",
    ]


def test_it_makes_runs_and_deletes(cloud):
    status, output, errors = cloud.launch("ls; echo done", *SLICE)
    assert (status, cloud.calls) == (FINISHED, ["create", "scp", "delete"]), errors
    # the flags arrive as they were, on every host; the log is the first host's
    expected = "".join(f"<{flag}>" for flag in ("-u", "-m", "jaxgan.main", *FLAGS))
    assert output.count(expected) == 1
    assert "done\n" in output
    assert [cloud.starts(host) for host in (0, 1)] == [1, 1]
    assert "launch\n" in output
    assert "later.txt" not in output


@pytest.mark.slow
def test_a_slice_that_is_there_is_used_and_not_deleted(cloud):
    cloud.make()
    assert cloud.launch("", *SLICE)[0] == FINISHED
    assert cloud.calls == ["scp"]
    assert cloud.launch("", *SLICE)[0] == FINISHED
    assert cloud.calls == ["scp"]  # the code is there
    assert len((cloud.clouds / "1" / "installed").read_text().splitlines()) == 3


@pytest.mark.slow
def test_the_interrupted_and_the_crashed_are_started_again(cloud):
    status, _, errors = cloud.launch("case $start in 1) exit 75 ;; 2) kill -ABRT $$ ;; esac", *SLICE, "--max-crashes=1")
    assert status == FINISHED
    assert (cloud.starts(0), cloud.starts(1)) == (3, 3)
    assert cloud.calls == ["create", "scp", "delete"]
    assert "interrupted: starting again (1 of 20)" in errors
    assert "crashed with status 134: starting again (1 of 1)" in errors


@pytest.mark.slow
def test_limits(cloud):
    cloud.make()
    assert cloud.launch("exit 9", *SLICE, "--max-crashes=0")[0] == 9
    assert cloud.launch("exit 75", *SLICE, "--max-restarts=1")[0] == INTERRUPTED
    assert cloud.starts() == 1 + 2


@pytest.mark.slow
def test_the_status_is_the_one_that_says_most(cloud):
    cloud.make()
    assert cloud.launch('[ "$HOST" = 0 ] && kill -ABRT $$; exit 3', *SLICE)[0] == GAVE_UP
    assert cloud.starts() == 1


@pytest.mark.slow
def test_a_preempted_slice_is_rebuilt(cloud):
    plan = 'if [ "$start" = 1 ]; then echo PREEMPTED >"$clouds/state"; exit 1; fi'
    assert cloud.launch(plan, *SLICE, "--spot", "--max-crashes=0")[0] == FINISHED
    assert cloud.calls == ["create", "scp", "delete", "create", "scp", "delete"]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, INTERRUPTED), (signal.SIGINT, CTRL_C)])
def test_asked_to_end_the_run_saves_and_the_slice_is_deleted(cloud, number, status):
    process = cloud.begin("trap 'echo saved; exit 75' TERM; for i in {1..300}; do sleep 0.1; done", *SLICE)
    while not (cloud.starts(0) and cloud.starts(1)):
        assert process.poll() is None
        time.sleep(0.1)
    time.sleep(0.5)
    process.send_signal(number)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == status, errors
    assert "saved" in output
    assert (cloud.starts(), cloud.calls) == (1, ["create", "scp", "delete"])


@pytest.mark.slow
def test_a_created_slice_is_kept_with_keep(cloud):
    status, _, errors = cloud.launch("", *SLICE, "--keep", flags=("--workdir=w",))
    assert (status, cloud.calls) == (FINISHED, ["create", "scp"])
    assert "paid for until: gcloud compute tpus tpu-vm delete gan --zone=us-west4-a" in errors


@pytest.mark.slow
def test_no_capacity(cloud):
    (cloud.clouds / "full").touch()
    status, _, _ = cloud.launch("", *SLICE)
    assert status == 1
    assert cloud.calls == ["create", "delete"]  # one that is half made is paid for, too


@pytest.mark.slow
def test_a_slice_of_others_that_is_not_ready_is_left_alone(cloud):
    cloud.make("PREEMPTED")
    status, _, errors = cloud.launch("", *SLICE)
    assert (status, cloud.calls) == (MISTAKE, [])
    assert "gan is PREEMPTED and not ours to delete" in errors


@pytest.mark.parametrize(
    ("arguments", "flags", "words"),
    [
        (("--name=gan", "--zone=z"), FLAGS, "--name, --zone and --type are required"),
        ((*SLICE, "--spt"), FLAGS, "got --spt"),
        ((*SLICE, "--max-crashes=few"), FLAGS, "--max-crashes: got few"),
        ((*SLICE, "--commit=nowhere"), FLAGS, "--commit: got nowhere, expected a commit"),
        (("--name=gan", "--zone=z", "--type=v9-8"), FLAGS, "no default for --type=v9-8"),
        (SLICE, ("--workdir=runs/x",), "--workdir: expected a gs:// path"),
    ],
)
def test_a_mistake_in_the_call_of_the_pod(cloud, arguments, flags, words):
    status, _, errors = cloud.launch("", *arguments, flags=flags)
    assert status == MISTAKE
    assert words in errors
    assert cloud.calls == []

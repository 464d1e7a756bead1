"""launch/local.sh with a stand-in for Python that ends as a test plans it, and once with a real run."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest

from jaxgan.errors import CTRL_C, FINISHED, GAVE_UP, INTERRUPTED, MISTAKE
from jaxgan.reporting.writer import read_scalars

LAUNCH = pathlib.Path(__file__).parents[2] / "launch"
STAND_IN = """#!/usr/bin/env bash
if [ "$1" = -c ]; then exec {python} "$@"; fi
flags=("$@") id=0
for ((i = 0; i < $#; i++)); do
  if [ "${{flags[i]}}" = --process_id ]; then id=${{flags[i + 1]}}; fi
done
echo "$*" >>{board}/calls.$id
echo $$ >>{board}/pids
start=$(wc -l <{board}/calls.$id)
here() {{ touch {board}/here.$id.$start; }}
await() {{ until [ -e {board}/here.$1.$start ]; do sleep 0.05; done; }} # until that process has said so
saving() {{ trap 'exit 75' TERM; here; for i in {{1..600}}; do sleep 0.1; done; }} # until it is asked to end
. {board}/plan
"""


class Board:
    """Where a stand-in finds its plan and leaves what happened."""

    def __init__(self, path):
        self.path = path
        self.python = path / "python"
        self.python.write_text(STAND_IN.format(python=sys.executable, board=path))
        self.python.chmod(0o755)

    def command(self, plan, *arguments):
        (self.path / "plan").write_text(plan)
        return [str(LAUNCH / "local.sh"), *arguments, "--", "--config", "a config.py", "--workdir=w"]

    def launch(self, plan, *arguments):
        """Runs to the end; status, output, errors."""
        done = subprocess.run(
            self.command(plan, *arguments, "--pause=0"),
            env=os.environ | {"PYTHON": str(self.python)},
            capture_output=True,
            text=True,
            timeout=50,
        )
        return done.returncode, done.stdout, done.stderr

    def begin(self, plan, *arguments):
        """Starts it and waits until every process has been started and says that it is here."""
        command = self.command(plan, *arguments, "--pause=0")
        process = subprocess.Popen(
            command,
            env=os.environ | {"PYTHON": str(self.python)},
            stderr=subprocess.PIPE,
        )
        while not all((self.path / f"here.{i}.1").exists() for i in range(int(arguments[0]))):
            assert process.poll() is None
            time.sleep(0.05)
        return process

    def calls(self, process=0):
        """The flags of every start of a process."""
        path = self.path / f"calls.{process}"
        return path.read_text().splitlines() if path.exists() else []

    def alive(self):
        """The processes that are still there."""
        return [pid for pid in (self.path / "pids").read_text().split() if pathlib.Path("/proc", pid).exists()]


@pytest.fixture
def board(tmp_path):
    return Board(tmp_path)


def test_a_finished_run_is_started_once(board):
    status, output, errors = board.launch('echo "here is $id"; echo "and there" >&2', "3")
    assert (status, errors) == (FINISHED, "")
    expected = [f"[{i}] {line}" for i in range(3) for line in (f"here is {i}", "and there")]
    assert sorted(output.splitlines()) == sorted(expected)
    calls = [board.calls(i) for i in range(3)]
    assert [len(call) for call in calls] == [1, 1, 1]
    ports = set()
    for i, (call,) in enumerate(calls):
        found = re.fullmatch(
            r"-m jaxgan.main --config a config.py --workdir=w "
            rf"--coordinator 127.0.0.1:(\d+) --num_processes 3 --process_id {i}",
            call,
        )
        assert found, call
        ports.add(int(found[1]))
    assert len(ports) == 1
    assert 1024 < ports.pop() < 65536


@pytest.mark.slow
def test_one_process_needs_no_coordinator(board):
    assert board.launch("", "1")[0] == FINISHED
    assert board.calls() == ["-m jaxgan.main --config a config.py --workdir=w"]


@pytest.mark.slow
def test_each_process_sees_its_own_gpus(board):
    _, output, _ = board.launch('echo "$CUDA_VISIBLE_DEVICES"', "2", "--gpus-each=2")
    assert sorted(output.split("\n")) == ["", "[0] 0,1", "[1] 2,3"]


def test_the_interrupted_is_started_again(board):
    status, _, errors = board.launch('[ "$start" -ge 3 ] || exit 75', "2", "--max-crashes=0")
    assert status == FINISHED
    assert [len(board.calls(i)) for i in range(2)] == [3, 3]
    assert errors.count("starting again") == 2


@pytest.mark.slow
def test_a_crash_is_started_again_up_to_a_limit(board):
    assert board.launch('[ "$start" = 2 ] || kill -SEGV $$', "1", "--max-crashes=1")[0] == FINISHED
    assert len(board.calls()) == 2
    status, _, errors = board.launch("exit 9", "1", "--max-crashes=2")
    assert status == 9
    assert len(board.calls()) == 2 + 3
    assert "crashed 3 times: not started again" in errors


@pytest.mark.slow
@pytest.mark.parametrize("status", [MISTAKE, GAVE_UP, CTRL_C])
def test_ends_that_a_restart_cannot_fix_are_not_started_again(board, status):
    assert board.launch(f"here; await 0; await 1; exit {status}", "2")[0] == status
    assert [len(board.calls(i)) for i in range(2)] == [1, 1]


@pytest.mark.slow
def test_one_failure_stops_the_others(board):
    started = time.monotonic()
    status, _, errors = board.launch('[ "$id" != 1 ] || exit 5; saving', "3", "--max-crashes=0")
    assert status == 5  # not 75, with which the others end then
    assert time.monotonic() - started < 20
    assert "process 1 ended with status 5 (crashed)" in errors
    assert not board.alive()


@pytest.mark.slow
def test_those_that_will_not_stop_are_killed(board):
    plan = '[ "$id" != 0 ] || exit 5; trap "" TERM; for i in {1..600}; do sleep 0.1; done'
    assert board.launch(plan, "2", "--max-crashes=0", "--grace=1")[0] == 5
    assert not board.alive()


@pytest.mark.slow
def test_the_others_may_save_after_the_first_has(board):
    status, output, _ = board.launch(
        '[ "$start" = 1 ] || exit 0; trap "echo told" TERM; [ "$id" = 0 ] || { sleep 1; echo saved; }; exit 75', "2"
    )
    assert status == FINISHED
    assert "[1] saved" in output
    assert "told" not in output


@pytest.mark.slow
@pytest.mark.parametrize(
    ("plan", "status"),
    [
        ('[ "$id" = 0 ] && { await 1; kill -ABRT $$; }; trap "" TERM; here; sleep 0.5; exit 3', GAVE_UP),
        ('[ "$id" = 0 ] && exit 75; sleep 0.5; exit 7', 7),
        ('[ "$id" = 0 ] && exit 0; sleep 0.5; exit 7', 7),
    ],
)
def test_the_status_is_the_one_that_says_most(board, plan, status):
    assert board.launch(plan, "2", "--max-crashes=0")[0] == status


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, INTERRUPTED), (signal.SIGINT, CTRL_C)])
def test_signals_are_passed_on_and_end_it(board, number, status):
    launcher = board.begin("saving", "2")
    launcher.send_signal(number)
    _, errors = launcher.communicate(timeout=20)
    assert launcher.returncode == status
    assert b"starting again" not in errors
    assert [len(board.calls(i)) for i in range(2)] == [1, 1]
    assert not board.alive()


@pytest.mark.slow
def test_a_real_run_that_loses_a_process_is_started_again_and_goes_on_to_its_end(tmp_path):
    workdir = tmp_path / "run"
    config = pathlib.Path(__file__).parents[1] / "parallel" / "hosts.py"
    flags = [f"--config={config}:vanilla_gan", f"--workdir={workdir}", "--config.images=6400"]
    cpu = {
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=1",
        "PYTHON": sys.executable,
    }
    with (
        (tmp_path / "out").open("w") as out,
        subprocess.Popen(
            [LAUNCH / "local.sh", "2", "--pause=0", "--", *flags, "--config.checkpoint.every_images=320"],
            env=os.environ | cpu,
            stdout=out,
            stderr=out,
        ) as launcher,
    ):
        told = lambda: (tmp_path / "out").read_text()  # noqa: E731
        saved = workdir / "checkpoints"
        while not any(path.name.isdecimal() and int(path.name) > 0 for path in saved.glob("*")):
            assert launcher.poll() is None, told()
            time.sleep(0.05)
        os.kill(process_of(launcher.pid, "--process_id 0"), signal.SIGKILL)
        assert launcher.wait(timeout=600) == FINISHED, told()
    assert "process 0 ended with status 137 (crashed)" in told()
    assert told().count("starting again") == 1
    steps = [row["step"] for row in read_scalars(workdir / "scalars.jsonl")]
    assert steps == [*range(1, 401), 400]  # each step once, and the scores


def process_of(launcher, flags):
    """The id of the child of a launcher that was started with these flags."""
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            command = (folder / "cmdline").read_text().replace("\0", " ")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == launcher and flags in command and "jaxgan.main" in command:
            return int(folder.name)
    raise AssertionError(f"{launcher} has no child with {flags}")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "as the number of processes"),
        (["0", "--"], "got 0 as"),
        (["2", "--config=x"], "expected one of --max-crashes, --grace, "),
        (["2", "--grace=long", "--"], "--grace: got long"),
        (["2", "--gpus=1", "--"], "got --gpus=1, expected"),
        (["2"], "'--' is missing"),
    ],
)
def test_a_mistake_in_the_call(arguments, words):
    done = subprocess.run([LAUNCH / "local.sh", *arguments], capture_output=True, text=True)
    assert done.returncode == MISTAKE
    assert words in done.stderr

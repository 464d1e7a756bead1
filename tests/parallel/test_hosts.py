"""Real processes on the loopback: the same losses as one, told apart when one is lost, resumed, stopped together."""

import contextlib
import itertools
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from jaxgan.errors import FINISHED, INTERRUPTED, LOST, MISTAKE, UserError
from jaxgan.parallel.distributed import Processes, read_processes, surrounded
from jaxgan.training.writer import read_scalars

CONFIG = str(pathlib.Path(__file__).parent / "hosts.py")
ONE_CPU = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_force_host_platform_device_count=1"}


@contextlib.contextmanager
def started(name, workdir, number, *flags):
    """So many processes of one run, their output in files beside the workdir; killed at the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = []
    with contextlib.ExitStack() as stack:
        for index in range(number):
            command = [sys.executable, "-m", "jaxgan.main", f"--config={CONFIG}:{name}", f"--workdir={workdir}", *flags]
            if number > 1:
                command += [f"--coordinator=127.0.0.1:{port}", f"--num_processes={number}", f"--process_id={index}"]
            file = stack.enter_context(open(f"{workdir}-{index}.txt", "w"))
            processes.append(subprocess.Popen(command, env=ONE_CPU, stdout=file, stderr=file))
        try:
            yield processes
        finally:
            for process in processes:
                process.kill()
                process.wait()


def told(workdir, index):
    return pathlib.Path(f"{workdir}-{index}.txt").read_text()


def play(name, workdir, number, *flags):
    with started(name, workdir, number, *flags) as processes:
        statuses = [process.wait(timeout=300) for process in processes]
    assert statuses == [FINISHED] * number, [told(workdir, index) for index in range(number)]
    return read_scalars(workdir / "scalars.jsonl")


def checkpoints(workdir):
    return [int(path.name) for path in (workdir / "checkpoints").glob("*") if path.name.isdecimal()]


def wait_until(condition, seconds=120):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.mark.parametrize("name", ["vanilla_gan", "dcgan_mnist"])
def test_two_and_four_processes_play_the_game_of_one(name, tmp_path):
    one = play(name, tmp_path / "one", 1)
    players = ("discriminator", "generator")
    for number in (2, 4):
        several = play(name, tmp_path / str(number), number)
        assert [row["step"] for row in several] == [row["step"] for row in one] == [*range(1, 21), 20]
        for ours, theirs in zip(several[:-1], one[:-1]):
            for player, (what, rtol) in itertools.product(players, (("loss", 0), ("grad_norm", 1e-3))):
                pair = (row["scalars"][f"{player}/{what}"] for row in (ours, theirs))
                np.testing.assert_allclose(*pair, atol=1e-5, rtol=rtol)
        scores, expected = several[-1]["scalars"], one[-1]["scalars"]
        assert scores.keys() == expected.keys()
        assert sorted(path.name for path in (tmp_path / str(number) / "samples").iterdir()) == ["000000320.png"]
        assert "compiled; first step played" in told(tmp_path / str(number), 0)
        assert "compiled" not in told(tmp_path / str(number), 1)


def test_stopped_together_lost_and_resumed(tmp_path):
    """SIGTERM to one: both save the same step. One killed: the other says which, soon. The leader killed: that, too."""
    workdir, endless = tmp_path / "run", ("--config.images=100000000", "--config.checkpoint.every_images=320")
    with started("vanilla_gan", workdir, 2, *endless) as processes:
        wait_until(lambda: any(step > 20 for step in checkpoints(workdir)))
        processes[1].send_signal(signal.SIGTERM)
        assert [process.wait(timeout=60) for process in processes] == [INTERRUPTED] * 2
    stopped = max(checkpoints(workdir))
    assert f"saved at {stopped * 16} images" in told(workdir, 0)
    for lost, words in ((1, "jaxgan: process 1 "), (0, "leader")):
        before = max(checkpoints(workdir))
        with started("vanilla_gan", workdir, 2, *endless) as processes:
            wait_until(lambda before=before: max(checkpoints(workdir)) > before + 40)
            processes[lost].kill()
            began = time.monotonic()
            status = processes[1 - lost].wait(timeout=60)
            assert time.monotonic() - began < 60
        assert status == LOST if lost else status not in (FINISHED, INTERRUPTED)
        assert words in told(workdir, 1 - lost)
    at = max(checkpoints(workdir))
    rows = play("vanilla_gan", workdir, 1, f"--config.images={(at + 20) * 16}", "--config.checkpoint.every_images=320")
    steps = [row["step"] for row in rows]
    assert steps == sorted(set(steps[:-1])) + steps[-1:]  # every step once, then the scores
    assert steps[-1] == at + 20


@pytest.mark.quick
@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"process_id": "0"}, "--process_id: got it without --coordinator, --num_processes"),
        ({"coordinator": "here", "num_processes": "2", "process_id": "0"}, "--coordinator: got 'here'"),
        ({"coordinator": "here:1", "num_processes": "0", "process_id": "0"}, "--num_processes: got '0'"),
        (
            {"coordinator": "here:1", "num_processes": "2", "process_id": "2"},
            "--process_id: got '2', accepted is 0 to 1",
        ),
    ],
)
def test_mistakes_in_the_flags(flags, words):
    with pytest.raises(UserError, match=words):
        read_processes(flags)


@pytest.mark.quick
def test_what_the_flags_and_the_environment_say():
    flags = {"coordinator": "host:12", "num_processes": "3", "process_id": "2"}
    assert read_processes(flags) == Processes("host:12", 3, 2)
    assert read_processes({"profile": "true"}) is None
    cpu = {"JAX_PLATFORMS": "cpu"}
    assert not surrounded(cpu)
    assert not surrounded({**cpu, "SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"})
    assert surrounded({**cpu, "SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "0"})
    assert surrounded({**cpu, "OMPI_COMM_WORLD_SIZE": "2"})
    assert surrounded({"JAX_PLATFORMS": "tpu"})


@pytest.mark.quick
def test_what_the_environment_says_on_gke():
    """Its pods are told of their hosts by variables; jax reads the same."""
    pod = {"JAX_PLATFORMS": "tpu", "TPU_SKIP_MDS_QUERY": "true", "TPU_WORKER_ID": "1"}
    assert not surrounded(pod)
    for name in ("TPU_PROCESS_ADDRESSES", "TPU_WORKER_HOSTNAMES"):
        assert surrounded({**pod, name: "gan-slice-0-0.gan,gan-slice-0-1.gan"})
        assert not surrounded({**pod, name: "gan-slice-0-0.gan"})
        assert surrounded({**pod, name: "gan-slice-0-0.gan", "MEGASCALE_NUM_SLICES": "2"})
    assert not surrounded({**pod, "JAX_PLATFORMS": "cpu", "TPU_WORKER_HOSTNAMES": "a,b"})


LOADING = """
import os, signal, sys, time
from jaxgan.commands import train
from jaxgan.main import main

def open_source(*_):
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)

train.open_source = open_source
sys.exit(main(sys.argv[1:]))
"""


def test_told_to_end_while_it_loads(tmp_path):
    flags = [f"--config={CONFIG}:vanilla_gan", f"--workdir={tmp_path / 'run'}"]
    done = subprocess.run([sys.executable, "-c", LOADING, *flags], env=ONE_CPU, capture_output=True, text=True)
    assert done.returncode == INTERRUPTED, done.stderr
    assert "the same command goes on" in done.stdout + done.stderr
    assert not (tmp_path / "run").exists()


def test_a_mistake_of_one_ends_all(tmp_path):
    (tmp_path / "run").write_text("no directory")
    with started("vanilla_gan", tmp_path / "run", 2) as processes:
        statuses = [process.wait(timeout=120) for process in processes]
    assert statuses[0] == MISTAKE
    assert statuses[1] != FINISHED
    assert "jaxgan: --workdir=" in told(tmp_path / "run", 0)

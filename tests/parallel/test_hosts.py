"""Real processes on the loopback: the same losses as one process, lost ones named, resumed, stopped together."""

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
from jaxgan.reporting.writer import read_scalars

CONFIG = str(pathlib.Path(__file__).parent / "hosts.py")
ONE_CPU = {
    **os.environ,
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=1",
}


@contextlib.contextmanager
def started(name, workdir, number, *flags):
    """Processes of one run, with their output in files beside the workdir; killed at the end."""
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


def reported(workdir, index):
    return pathlib.Path(f"{workdir}-{index}.txt").read_text()


def play(name, workdir, number, *flags):
    with started(name, workdir, number, *flags) as processes:
        statuses = [process.wait(timeout=300) for process in processes]
    assert statuses == [FINISHED] * number, [reported(workdir, index) for index in range(number)]
    return read_scalars(workdir / "scalars.jsonl")


def checkpoints(workdir):
    return [int(path.name) for path in (workdir / "checkpoints").glob("*") if path.name.isdecimal()]


def wait_until(condition, seconds=120):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.1)


SPLIT = ("--config.parallel.mesh.data=-1", "--config.parallel.mesh.fsdp=2")


def assert_same_game(ours, theirs):
    """Compares losses and gradients of each step, which depend on all steps before, and then the scores."""
    assert [row["step"] for row in ours] == [row["step"] for row in theirs] == [*range(1, 21), 20]
    players = ("discriminator", "generator")
    for pair in zip(ours[:-1], theirs[:-1]):
        for player, (what, rtol) in itertools.product(players, (("loss", 0), ("grad_norm", 1e-3))):
            np.testing.assert_allclose(*(row["scalars"][f"{player}/{what}"] for row in pair), atol=1e-5, rtol=rtol)
    scores, expected = ours[-1]["scalars"], theirs[-1]["scalars"]
    assert scores.keys() == expected.keys()
    for name, score in expected.items():
        np.testing.assert_allclose(scores[name], score, rtol=1e-3, atol=1e-4, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "flags"), [("vanilla_gan", SPLIT), ("dcgan_mnist", ())])
def test_two_and_four_processes_train_like_one(name, flags, tmp_path):
    """Four of them also with their state split over pairs."""
    one = play(name, tmp_path / "one", 1)
    for number in (2, 4):
        assert_same_game(play(name, tmp_path / str(number), number, *(flags if number == 4 else ())), one)
        assert sorted(path.name for path in (tmp_path / str(number) / "samples").iterdir()) == ["000000320.png"]
        assert "compiled; first step played" in reported(tmp_path / str(number), 0)
        assert "compiled" not in reported(tmp_path / str(number), 1)


@pytest.mark.slow
def test_a_run_of_two_processes_resumes_as_one_and_as_two_under_pmap(tmp_path):
    unbroken = play("vanilla_gan", tmp_path / "unbroken", 1)
    play("vanilla_gan", tmp_path / "run", 2, *SPLIT, "--config.images=160")
    rows = play("vanilla_gan", tmp_path / "run", 1)
    assert_same_game([row for index, row in enumerate(rows) if index != 10], unbroken)  # without the scores at 160
    rows = play("vanilla_gan", tmp_path / "run", 2, "--config.images=352", "--config.parallel.runner=pmap")[len(rows) :]
    assert [row["step"] for row in rows] == [21, 22, 22]
    assert all(np.isfinite(value) for row in rows for value in row["scalars"].values())


@pytest.mark.slow
def test_stopped_together_lost_and_resumed(tmp_path):
    """SIGTERM to one: both save the same step. One of four killed, or the leader: the others soon report which."""
    workdir, endless = tmp_path / "run", ("--config.images=100000000", "--config.checkpoint.every_images=320")
    with started("vanilla_gan", workdir, 2, *endless) as processes:
        wait_until(lambda: any(step > 20 for step in checkpoints(workdir)))
        processes[1].send_signal(signal.SIGTERM)
        assert [process.wait(timeout=60) for process in processes] == [INTERRUPTED] * 2
    stopped = max(checkpoints(workdir))
    assert f"saved at {stopped * 16} images" in reported(workdir, 0)
    for number, lost, words in ((4, 1, "jaxgan: process 1 has"), (2, 0, "jaxgan: process 0, the leader, is gone")):
        before = max(checkpoints(workdir))
        with started("vanilla_gan", workdir, number, *endless) as processes:
            wait_until(lambda before=before: max(checkpoints(workdir)) > before + 40)
            processes[lost].kill()
            began, others = time.monotonic(), [index for index in range(number) if index != lost]
            ends = [processes[index].wait(timeout=60) for index in others]
            assert set(ends) <= {LOST, -signal.SIGABRT}, ends  # jax may be the first to end one: a crash, too
            assert time.monotonic() - began < 60
        spoke = [words in reported(workdir, index) for index in others]
        assert any(spoke) or ends == [-signal.SIGABRT], [reported(workdir, index) for index in others]
        # a process ended by jax or Gloo prints none of our messages
        assert all(each or end == -signal.SIGABRT for each, end in zip(spoke, ends)), ends
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
            "--process_id: got '2', expected 0 to 1",
        ),
    ],
)
def test_mistakes_in_the_flags(flags, words):
    with pytest.raises(UserError, match=words):
        read_processes(flags)


@pytest.mark.quick
def test_processes_from_the_flags_and_the_environment():
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
def test_processes_from_the_environment_on_gke():
    """Its pods get their hosts from variables, which jax reads as well."""
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

def open_sources(*_):
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)

train.open_sources = open_sources
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_a_signal_during_loading(tmp_path):
    flags = [f"--config={CONFIG}:vanilla_gan", f"--workdir={tmp_path / 'run'}"]
    done = subprocess.run([sys.executable, "-c", LOADING, *flags], env=ONE_CPU, capture_output=True, text=True)
    assert done.returncode == INTERRUPTED, done.stderr
    assert "the same command continues" in done.stdout + done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_an_error_in_one_process_ends_all(tmp_path):
    (tmp_path / "run").write_text("no directory")
    with started("vanilla_gan", tmp_path / "run", 2) as processes:
        statuses = [process.wait(timeout=120) for process in processes]
    assert statuses[0] == MISTAKE
    assert statuses[1] != FINISHED
    assert "jaxgan: --workdir=" in reported(tmp_path / "run", 0)

"""SIGTERM, SIGHUP and Ctrl-C at named moments of a run, and a disk that is full: a whole run in miniature."""

import gc
import os
import pathlib
import pty
import shutil
import signal
import subprocess
import sys
import time

import pytest

from jaxgan.checkpoints import on_disk
from jaxgan.checkpoints.on_disk import steps_on_disk
from jaxgan.errors import CTRL_C, FINISHED, GAVE_UP, INTERRUPTED
from jaxgan.main import main

QUICKSTART = str(pathlib.Path(__file__).parent.parent.parent / "configs" / "quickstart.py")
FLAGS = ["--config", QUICKSTART, "--config.tiny=true", "--config.plots=false", "--config.tensorboard=false"]
NOTHING_PLAYED = "interrupted before training started; the same command continues from here"


def train(path, *flags):
    return main([*FLAGS, "--workdir", str(path), *flags])


def lost(number, original, after=1):
    """A function that first gets a signal inside a callback of the garbage collector, where Python drops exceptions."""
    calls = []

    def hooked(*args, **kwargs):
        calls.append(args)
        if len(calls) == after:
            callback = lambda *_: gc.callbacks.remove(callback) or os.kill(os.getpid(), number)  # noqa: E731
            gc.callbacks.append(callback)
            gc.collect()
        return original(*args, **kwargs)

    return hooked


@pytest.mark.quick
@pytest.mark.parametrize(
    ("moment", "number", "status"),
    [
        ("start_jax", signal.SIGHUP, INTERRUPTED),
        ("open_sources", signal.SIGINT, CTRL_C),
        ("fill_in", signal.SIGTERM, INTERRUPTED),
    ],
)
def test_a_signal_while_a_run_starts_is_heard_before_anything_is_written(
    moment, number, status, tmp_path, monkeypatch, capfd
):
    from jaxgan.commands import train as command

    monkeypatch.setattr(command, moment, lost(number, getattr(command, moment)))
    assert train(tmp_path / "run") == status
    told = capfd.readouterr().err
    assert told.splitlines()[-1] == NOTHING_PLAYED
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A run of which half is played."""
    path = tmp_path_factory.mktemp("begun") / "run"
    assert train(path, "--config.images=32") == FINISHED
    return path


@pytest.fixture
def run(begun, tmp_path):
    return shutil.copytree(begun, tmp_path / "run")


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["keep_config", "make_pipeline", "make_init"])
def test_a_signal_before_a_resumed_run_plays(moment, run, monkeypatch, capfd):
    from jaxgan.commands import train as command

    before = steps_on_disk(on_disk.absolute(run / "checkpoints"))
    monkeypatch.setattr(command, moment, lost(signal.SIGTERM, getattr(command, moment), after=1))
    assert train(run) == INTERRUPTED
    told = capfd.readouterr().err
    assert "Traceback" not in told
    assert told.splitlines()[-1] == NOTHING_PLAYED
    assert steps_on_disk(on_disk.absolute(run / "checkpoints")) == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wrapped", "number", "status"), [(False, signal.SIGTERM, INTERRUPTED), (True, signal.SIGINT, CTRL_C)]
)
def test_a_signal_during_a_restore(wrapped, number, status, run, monkeypatch, capfd):
    """Whether orbax goes on, or makes an exception of its own of it."""
    original = on_disk.ocp.StandardCheckpointer.restore

    def restore(*args, **kwargs):
        try:
            os.kill(os.getpid(), number)
            time.sleep(0.01)
        except BaseException:
            raise ValueError("orbax says so") from None
        if wrapped:
            raise ValueError("orbax says so")
        return original(*args, **kwargs)

    monkeypatch.setattr(on_disk.ocp.StandardCheckpointer, "restore", restore)
    assert train(run) == status
    told = capfd.readouterr().err
    assert "Traceback" not in told
    assert "interrupted" in told.splitlines()[-1]


@pytest.mark.slow
def test_a_signal_amid_an_evaluation_saves(tmp_path, monkeypatch, capfd):
    from jaxgan.evaluators.distribution import Distribution

    original = Distribution.run
    monkeypatch.setattr(Distribution, "run", lost(signal.SIGHUP, original))
    flags = ["--config.evaluation.every_images=16", "--config.images=320"]
    assert train(tmp_path / "run", *flags) == INTERRUPTED
    assert "saved at 16 images and interrupted" in capfd.readouterr().err


@pytest.mark.slow
def test_a_finished_run_without_pictures_or_scores_says_where_the_rest_is(run, capfd):
    for path in (run / "samples").iterdir():
        path.unlink()
    assert train(run, "--config.images=32") == FINISHED
    told = capfd.readouterr().err
    assert "this run is already finished" in told
    assert "  pictures  " not in told
    assert "  scores  " in told
    shutil.rmtree(run / "samples")
    (run / "scores.json").unlink()
    assert train(run, "--config.images=32") == FINISHED
    assert "  checkpoint  " in capfd.readouterr().err


ENDLESS = ["--config.images=100000000", "--config.checkpoint.every_images=16"]


def wait_for_a_save(path, process):
    until = time.monotonic() + 90
    while (
        not (path / "checkpoints").exists() or max(steps_on_disk(on_disk.absolute(path / "checkpoints")), default=0) < 1
    ):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.mark.slow
def test_a_terminal_that_closes(tmp_path):
    """SIGHUP comes, and what is printed from then on fails."""
    terminal, end = pty.openpty()
    command = [sys.executable, "-m", "jaxgan.main", *FLAGS, *ENDLESS, "--workdir", str(tmp_path)]
    with subprocess.Popen(command, stdin=end, stdout=end, stderr=end, start_new_session=True) as process:
        os.close(end)
        wait_for_a_save(tmp_path, process)
        os.close(terminal)
        process.send_signal(signal.SIGHUP)
        assert process.wait(timeout=60) == INTERRUPTED
    assert "and interrupted; the same command goes on from here" in (tmp_path / "log.txt").read_text()


@pytest.mark.slow
def test_files_that_may_not_grow(tmp_path):
    """As on a full disk a save fails, in threads of orbax; the run is one that would go on for ever."""

    command = [sys.executable, "-m", "jaxgan.main", *FLAGS, *ENDLESS, "--workdir", str(tmp_path / "run")]
    limited = ["bash", "-c", 'ulimit -f 150; exec "$@"', "bash", *command]  # KB: a file of a save has more
    done = subprocess.run(limited, capture_output=True, text=True, timeout=100)
    assert done.returncode == GAVE_UP, done.stderr
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert "File too large (the disk mounted at /" in last
    assert "complete checkpoint" in last

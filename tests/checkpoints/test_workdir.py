"""The paths and the lock of a work directory."""

import contextlib
import errno
import fcntl
import os
import signal
import socket
import subprocess
import sys

import pytest

from jaxgan.checkpoints.workdir import Workdir
from jaxgan.errors import UserError


def test_the_paths_lie_under_the_root(tmp_path):
    workdir = Workdir(str(tmp_path))
    for name in ("config", "log", "scalars", "scores", "checkpoints", "samples", "plots", "tensorboard"):
        path = getattr(workdir, name)
        assert os.fspath(path.parent) == str(tmp_path)
        assert path.name.split(".")[0] == name


def test_creating_makes_the_parents_and_again_is_no_mistake(tmp_path):
    workdir = Workdir(str(tmp_path / "runs" / "one"))
    workdir.create()
    workdir.create()
    assert os.path.isdir(workdir.root)


def test_a_path_under_a_file_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"--workdir=.*cannot be made: Not a directory$"):
        Workdir(str(tmp_path / "file" / "run")).create()


def test_a_directory_that_may_not_be_written_to_is_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    with pytest.raises(UserError, match="cannot be written to"):
        Workdir(str(tmp_path)).create()


HOLDER = """
import sys, time
from jaxgan.checkpoints.workdir import Workdir
with Workdir(sys.argv[1]).lock():
    print("held", flush=True)
    time.sleep(600)
"""


def test_the_holder_is_named_and_a_killed_one_does_not_block(tmp_path):
    workdir = Workdir(str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        for _ in range(2):  # asking does not wipe the name out
            with (
                pytest.raises(UserError, match=f"in use by process {process.pid} on {socket.gethostname()}"),
                workdir.lock(),
            ):
                pass
        process.send_signal(signal.SIGKILL)
    with workdir.lock():
        assert (tmp_path / "lock").read_text() == f"process {os.getpid()} on {socket.gethostname()}\n"
    with workdir.lock():
        pass


def test_the_lock_is_let_go_when_the_run_fails(tmp_path):
    workdir = Workdir(str(tmp_path))
    with contextlib.suppress(RuntimeError), workdir.lock():
        raise RuntimeError
    with workdir.lock():
        pass


def test_a_file_system_without_locks_is_reported_and_used(tmp_path, monkeypatch, caplog):
    def refuse(file, how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with Workdir(str(tmp_path)).lock():
        assert "does not support locks" in caplog.text


def test_a_remote_directory_has_no_lock():
    workdir = Workdir("gs://bucket/run")
    assert workdir.remote
    assert str(workdir.checkpoints) == "gs://bucket/run/checkpoints"
    with workdir.lock():
        pass

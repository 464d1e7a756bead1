"""Whichever thread's file fails: within moments one line names the disk and the last complete checkpoint."""

import errno
import logging
import os
import signal
import time

import numpy as np
import pytest
from test_loop import BATCH, make_loop, run

from jaxgan.checkpoints import checkpoint, manifest
from jaxgan.checkpoints.workdir import Workdir
from jaxgan.errors import FINISHED, TrainingGaveUp
from jaxgan.media.images import save_image
from jaxgan.reporting import progress
from jaxgan.reporting.mirror import Mirror
from jaxgan.reporting.writer import Writer
from jaxgan.training.endings import gives_up_on_disks

FULL, BROKEN = OSError(errno.ENOSPC, "No space left on device"), OSError(errno.EIO, "Input/output error")
ENDLESS = 10**9


def fails(error):
    def fail(*_, **__):
        raise error

    return fail


def gives_up(loop, folder, writer=None):
    """The one line of a run that goes on for ever, and how long it took from its second round on."""
    began = time.monotonic()
    place = Workdir(str(folder))
    with pytest.raises(TrainingGaveUp) as raised, gives_up_on_disks(place), loop.checkpoints, writer or loop.writer:
        loop.run()
    assert time.monotonic() - began < 30
    (line,) = str(raised.value).splitlines()
    assert "(the disk mounted at /" in line
    assert " free of " in line
    return line


@pytest.mark.parametrize("error", [FULL, pytest.param(BROKEN, marks=pytest.mark.slow)])
def test_the_thread_that_saves(error, tmp_path, monkeypatch):
    """It is noticed before the next save, which is far away."""
    run(tmp_path, images=BATCH)
    monkeypatch.setattr(checkpoint, "write_manifest", fails(error))
    loop, _ = make_loop(tmp_path, images=ENDLESS * BATCH, checkpoint=3 * BATCH)
    line = gives_up(loop, tmp_path)
    assert error.strerror in line
    assert f"the last complete checkpoint is step 1: {tmp_path}/checkpoints/1" in line


def test_the_data_of_a_save(tmp_path, monkeypatch):
    """TensorStore wraps the error in its own message."""
    words = "RESOURCE_EXHAUSTED: Error writing local file \"/x/y\": No space left on device [os_error_code='28']"
    monkeypatch.setattr(checkpoint.ocp.CheckpointManager, "save", fails(ValueError(words)))
    line = gives_up(make_loop(tmp_path)[0], tmp_path)
    assert "/x/y: No space left on device" in line
    assert "there is no complete checkpoint yet" in line


def test_the_event_file(tmp_path, monkeypatch):
    """tensorboardX's writer thread would die and block all later calls."""
    loop, _ = make_loop(tmp_path, images=ENDLESS * BATCH)
    loop.writer.close()
    writer = Writer(tmp_path, tensorboard=True)
    loop.writer = writer
    monkeypatch.setattr("tensorboardX.record_writer.RecordWriter.write", fails(FULL))
    assert "step 0" in gives_up(loop, tmp_path, writer)


@pytest.mark.slow
@pytest.mark.parametrize("part", ["scalars", "samples", "scores", "data"])
def test_what_the_main_thread_writes_and_reads(part, tmp_path, monkeypatch):
    loop, _ = make_loop(tmp_path, images=ENDLESS * BATCH)
    if part == "scalars":
        loop.writer.close()
        monkeypatch.setattr(loop.writer, "_file", open("/dev/full", "w", buffering=1))  # noqa: SIM115
    elif part == "samples":
        monkeypatch.setattr("etils.epath.backend._OsPathBackend.open", fails(FULL))
        monkeypatch.setattr("pathlib.Path.write_bytes", fails(FULL))
        loop.show_samples = lambda *_: save_image(np.zeros((2, 2, 1), np.uint8), tmp_path / "samples" / "1.png")
    elif part == "scores":
        loop.evaluate = fails(FULL)
        loop.intervals = loop.intervals.__class__(**{**vars(loop.intervals), "evaluation": {"": BATCH}})
    else:
        loop.pipeline.batches = fails(OSError(errno.EIO, "Input/output error", str(tmp_path / "a.png")))
    assert ("a.png: Input/output" if part == "data" else "No space left on device") in gives_up(loop, tmp_path)


@pytest.mark.slow
def test_a_failed_save_after_a_signal_is_not_reported_as_saved(tmp_path, monkeypatch, caplog):
    written = []

    def second_fails(*args):
        written.append(args)
        return fails(FULL)() if len(written) > 1 else manifest.write_manifest(*args)

    monkeypatch.setattr(checkpoint, "write_manifest", second_fails)
    loop, _ = make_loop(tmp_path, after=2 * BATCH)
    assert "step 0" in gives_up(loop, tmp_path)
    assert "saved at" not in caplog.text


def test_a_signal_is_heard_while_the_disk_is_full(tmp_path, monkeypatch):
    """Lines that cannot be logged neither end the run nor block the signal."""
    before = signal.getsignal(signal.SIGTERM)
    loop, _ = make_loop(tmp_path, images=ENDLESS * BATCH, after=2 * BATCH)
    undo = progress.setup_logging("/dev/full")
    try:
        with loop.checkpoints, loop.writer:
            assert loop.run() == 75
    finally:
        undo()
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_log_that_cannot_be_written_is_reported_once(tmp_path, capfd):
    undo = progress.setup_logging("/dev/full")
    logger = logging.getLogger("jaxgan.test")
    for number in range(5):
        logger.info("line %s", number)
    logger.warning("on the terminal")
    undo()
    first, second = capfd.readouterr().err.replace("\n(", " (").splitlines()
    assert first.startswith("warning: the log is incomplete: /dev/full: No space left on device (the disk mounted at ")
    assert second == "warning: on the terminal"


def test_a_log_that_cannot_be_opened_costs_a_warning(tmp_path, capfd):
    undo = progress.setup_logging(tmp_path / "nowhere" / "log.txt")
    logging.getLogger("jaxgan.test").info("a line")
    undo()
    assert "the log cannot be written: " in capfd.readouterr().err


@pytest.mark.slow
def test_plots_that_cannot_be_written_hide_no_other_error(tmp_path, monkeypatch):
    from jaxgan.commands import train

    monkeypatch.setattr(train, "write_plots", fails(FULL))
    place = Workdir(str(tmp_path))
    with pytest.raises(ValueError, match="ours"), train._plotted(place):
        raise ValueError("ours")
    with pytest.raises(OSError, match="No space"), train._plotted(place):
        pass


def test_files_that_a_bucket_does_not_accept_are_kept_locally(tmp_path, caplog):
    (tmp_path / "bucket").write_text("in the way")
    from etils import epath

    mirror = Mirror(epath.Path(tmp_path) / "bucket")
    (mirror.folder / "log.txt").write_text("mine")
    mirror.close()
    assert f"could not be copied are kept in {mirror.folder}" in caplog.text
    assert (mirror.folder / "log.txt").read_text() == "mine"
    os.remove(mirror.folder / "log.txt")
    os.rmdir(mirror.folder)


def test_a_writer_that_cannot_be_opened_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxgan.reporting.writer.Events", fails(FULL))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(Workdir, "remote", True)
    with pytest.raises(OSError, match="No space"):
        Writer(tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.slow
def test_a_run_that_finishes_reports_no_failure(tmp_path):
    with gives_up_on_disks(Workdir(str(tmp_path))):
        assert run(tmp_path, images=BATCH)[0] == FINISHED

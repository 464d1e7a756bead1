"""Workdirs with odd names: checkpoints can be restored, and messages printed and pasted."""

import io
import logging
import os
import shlex

import jax
import jax.numpy as jnp
import pytest
from rich.console import Console

from jaxgan.checkpoints import checkpoint
from jaxgan.checkpoints.checkpoint import Checkpoints
from jaxgan.checkpoints.on_disk import absolute, restore_average
from jaxgan.checkpoints.workdir import Workdir
from jaxgan.commands.train import _where_things_are
from jaxgan.errors import UserError
from jaxgan.game import Field, Product, State
from jaxgan.main import main
from jaxgan.reporting.progress import Progress, setup_logging

NAMES = [
    r"a\b",
    "a\\",
    "trip [2024]",
    "a*b?",
    "a\nb",
    "{a}%d%20",
    " -x #",
    "ä" * 100,
    "a:b",
    "$HOME",
]


def state():
    zero, weights = jnp.int32(0), {"generator": {"kernel": jnp.arange(3.0)}}
    return State(zero, zero, zero, zero, zero, zero, weights, {}, {}, weights, {}, {})


def saved(folder):
    with Checkpoints(folder) as checkpoints:
        assert checkpoints.save(state(), step=3, images=9)
        checkpoints.wait()
        yield checkpoints


@pytest.mark.parametrize("name", NAMES)
def test_a_checkpoint_is_restored_from_a_folder_of_any_name(tmp_path, name):
    folder = tmp_path / name / "below" / "checkpoints"
    for checkpoints in saved(folder):
        assert checkpoints.steps() == [3]
    assert {"ema", "manifest.json", "state"} <= set(os.listdir(folder / "3"))
    assert sorted(os.listdir(tmp_path)) == [name]
    average = restore_average(folder)
    assert average.params["generator"]["kernel"].tolist() == [0, 1, 2]
    with Checkpoints(folder) as again:
        assert again.restore_latest(jax.eval_shape(state)).record["step"] == 3


def test_a_save_that_left_no_files_is_noticed_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "write_manifest", lambda *_: None)
    with pytest.raises(UserError, match=r"checkpoints/3 was saved but does not exist"):
        list(saved(tmp_path / "checkpoints"))


def test_a_folder_behind_a_link_and_dots_is_one_folder(tmp_path):
    (tmp_path / "far" / "away").mkdir(parents=True)
    os.symlink("far/away", tmp_path / "link")
    assert str(absolute(tmp_path / "link" / ".." / "run")) == str(tmp_path / "far" / "run")
    assert str(absolute(tmp_path / "link" / "run")) == str(tmp_path / "link" / "run")
    assert str(absolute("gs://bucket/a/../b")) == "gs://bucket/a/../b"


@pytest.mark.parametrize("name", ["a [b]", "it's $HOME", "a;b", "-x", "[red]r"])
@pytest.mark.parametrize(("asked", "mode"), [("latent", "sample"), ("pixels", "apply"), ("number", "evaluate")])
def test_the_commands_that_a_run_proposes_can_be_pasted(tmp_path, monkeypatch, name, asked, mode):
    place = Workdir(str(tmp_path / name))
    place.create()
    place.scores.write_text('{"scores": {"frechet/x": 1.5}, "manifest": {}}')
    place.samples.mkdir()
    shape = (1, 1, 1) if asked == "pixels" else ()
    product = Product({"it": Field(shape, kind=asked)}, {"image": Field((1, 1, 1), kind="pixels")}, (), lambda *_: None)
    for pictures in ([], ["000000064.png"]):
        for each in pictures:
            (place.samples / each).write_bytes(b"")
        reported = _where_things_are(place, Checkpoints(place.checkpoints), product, {}, ())
        lines = reported.splitlines()
        shown = [line for line in lines if line.split()[0] == "pictures"]
        assert [line.split(maxsplit=1)[1] for line in shown] == [str(place.samples / each) for each in pictures]
        commands = [shlex.split(line) for line in lines[lines.index("try next:") + 1 :]]
        assert {f"--mode={mode}", f"--workdir={tmp_path / name}"} <= set(commands[0])
        assert f"--logdir={tmp_path / name / 'tensorboard'}" in commands[1]


def test_brackets_in_a_line_are_not_markup(monkeypatch):
    for terminal in (False, True):
        shown = io.StringIO()
        with Progress(10, to=Console(file=shown, force_terminal=terminal, width=200)) as progress:
            progress.start(0)
            progress.say("in runs/a [b] and [/c]")
        assert "in runs/a [b] and [/c]" in shown.getvalue()


def test_names_in_logs_have_no_control_characters(tmp_path, capfd):
    name = "\x1b]0;owned\x07 a\n2026 ERROR jaxgan: forged\udcff.png"
    undo = setup_logging(tmp_path / "log.txt")
    try:
        logging.getLogger("jaxgan.data").warning("skipped %s", name)
        try:
            raise OSError(2, "none", name)
        except OSError:
            logging.getLogger("jaxgan.data").exception("failed")
    finally:
        undo()
    log, shown = (tmp_path / "log.txt").read_text(), capfd.readouterr().err
    for text in (log, shown):
        assert "\x1b" not in text
        assert "\x07" not in text
    assert log.splitlines()[0].endswith("skipped ]0;owned a 2026 ERROR jaxgan: forged.png")
    assert "Traceback" in log


def test_warnings_before_there_is_a_log_are_plain_too(monkeypatch):
    monkeypatch.setattr(logging.lastResort, "formatter", None)
    assert main(["--mode=verify", "nowhere"]) == 2
    record = logging.LogRecord("jaxgan.data", logging.WARNING, "", 1, "skipped %s", ("x\x1b[2J\n.png",), None)
    assert logging.lastResort.format(record) == "skipped x[2J .png"

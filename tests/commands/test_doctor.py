"""Doctor on workdirs: none, an empty one, and a run that was made to collapse."""

import json
import pathlib

import pytest

from jaxgan.checkpoints.workdir import Workdir
from jaxgan.commands import doctor
from jaxgan.config.overrides import load_config
from jaxgan.config.run import from_json, to_json
from jaxgan.errors import FINISHED, UserError
from jaxgan.main import main

QUICKSTART = str(pathlib.Path(__file__).parent.parent.parent / "configs" / "quickstart.py")
COLLAPSING = [  # 90 images, no penalty: each class becomes one shape within 250 steps
    "--config.tiny=true",
    "--config.data.split=train[:2%]",
    "--config.batch_size=32",
    "--config.images=8000",
    "--config.task.adversary.loss=adversarial.non_saturating",
    "--config.task.adversary.penalties=()",
    "--config.evaluation.samples=300",
    "--config.compilation_cache=false",
    "--config.tensorboard=false",
    "--config.plots=false",
]


@pytest.fixture
def config():
    return load_config(QUICKSTART)


def test_no_run_is_a_mistake(config, tmp_path):
    with pytest.raises(UserError, match="there is no run in it"):
        doctor.run(config, str(tmp_path / "none"), {})


def test_a_run_that_just_started_says_so(config, tmp_path, capsys):
    (tmp_path / "config.json").write_text(to_json(config))
    assert doctor.run(config, str(tmp_path), {}) == FINISHED
    assert "nothing was logged yet" in capsys.readouterr().out


def test_a_short_synthetic_run_is_told_with_its_rollbacks(config, tmp_path, capsys):
    (tmp_path / "config.json").write_text(to_json(config))
    (tmp_path / "log.txt").write_text("rolled back to step 3 (1 of 3); the learning rates are halved\n")
    scalars = {"discriminator/accuracy": 0.7, "discriminator/loss": 0.6, "generator/loss": 0.9, "recall/c": 0.01}
    lines = [{"step": n, "images": 64 * n, "time": 0.0, "scalars": scalars} for n in range(1, 9)]
    (tmp_path / "scalars.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert doctor.run(config, str(tmp_path), {}) == FINISHED
    told = capsys.readouterr().out
    assert "with 1 rollbacks" in told
    assert "recall/c is 0.01" in told
    assert "--config.task.adversary.penalties.0.gamma=10" in told
    assert told.strip().splitlines()[-1].startswith("verdict: broken")


def test_a_log_that_no_run_wrote_is_looked_through_or_left(config, tmp_path):
    place = Workdir(str(tmp_path))
    for data, rollbacks in ((b"\xff rolled back to step 3\n", 1), (b"\n" * 9, 0)):
        place.log.write_bytes(data)
        assert doctor.read_record(config, place).rollbacks == rollbacks
    place.log.unlink()
    (tmp_path / "log.txt").symlink_to("/dev/zero")
    assert doctor.read_record(config, place).rollbacks == 0


@pytest.mark.slow
def test_a_run_made_to_collapse_is_named_so_by_the_watch_and_by_doctor(tmp_path, capfd):
    workdir = tmp_path / "collapsed"
    assert main(["--config", QUICKSTART, "--workdir", str(workdir), *COLLAPSING]) == FINISHED
    assert "mode collapse" in (workdir / "log.txt").read_text()
    capfd.readouterr()
    assert doctor.run(from_json((workdir / "config.json").read_text()), str(workdir), {}) == FINISHED
    told = capfd.readouterr().out
    assert "90 training images" in told
    assert "verdict: collapsed" in told

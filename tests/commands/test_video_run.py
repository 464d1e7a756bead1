"""A run of moving pictures: trained, resumed, called for films of any length."""

import json
import pathlib

import numpy as np
import orbax.checkpoint as ocp
import pytest
from PIL import Image

import jaxgan
from jaxgan.checkpoints.on_disk import read_records
from jaxgan.errors import FINISHED, MISTAKE, UserError
from jaxgan.main import main

pytestmark = pytest.mark.slow

CONFIG = pathlib.Path(__file__).parents[2] / "configs" / "video_digits.py"
QUIET = {"plots": "false", "tensorboard": "false", "compilation_cache": "false", "tiny": "true", "log_every": "1"}
FEW = {"evaluation.samples": "16", "evaluation.neighbours": "1", "evaluation.features": "patches", "evaluators": "{}"}
ROUND = 4 * 3  # frames seen


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two films of frames, each of four clips."""
    folder = tmp_path_factory.mktemp("films")
    for film in range(2):
        (folder / str(film)).mkdir()
        for frame in range(32):
            shade = np.roll(np.arange(16, dtype=np.uint8) * 16, frame + 5 * film)
            Image.fromarray(np.tile(shade, (16, 1))).save(folder / str(film) / f"{frame:03}.png")
    return folder


def train(workdir, folder, rounds, **changes):
    data = {"data.name": str(folder), "data.frames": "8", "data.cuts": "false", "data.evaluation_split": "train"}
    fields = {**QUIET, **FEW, **data, "batch_size": "4", "images": str(rounds * ROUND), **changes}
    flags = [f"--config.{field}={value}" for field, value in fields.items()]
    return main([f"--config={CONFIG}", f"--workdir={workdir}", *flags])


def arrays(workdir, step):
    with ocp.StandardCheckpointer() as checkpointer:
        return {
            f"{item}/{name}": np.asarray(array)
            for item in ("state", "ema")
            for name, array in checkpointer.restore(workdir / "checkpoints" / str(step) / item).items()
        }


@pytest.fixture(scope="module", params=["device", "stream"])
def run(folder, tmp_path_factory, request):
    """Played at once to the fourth round."""
    workdir = tmp_path_factory.mktemp("runs") / request.param
    assert train(workdir, folder, 4, **{"data.cache": request.param}) == FINISHED
    return workdir


def test_a_resumed_run_equals_an_unbroken_one(run, folder, tmp_path):
    record = read_records(run / "checkpoints")[4]
    assert record["images_seen"] == 4 * ROUND
    assert record["positions"] == {"data": 16}  # clips
    for rounds in (2, 4):
        assert train(tmp_path / "halves", folder, rounds, **{"data.cache": run.name}) == FINISHED
    whole, resumed = arrays(run, 4), arrays(tmp_path / "halves", 4)
    assert whole.keys() == resumed.keys()
    for name, array in whole.items():
        np.testing.assert_array_equal(array, resumed[name], err_msg=name)


def test_films_of_any_length_and_rate_are_drawn(run, tmp_path, capsys):
    model = jaxgan.load(run)
    clips = model.generate(0, 3)
    assert clips.shape == (3, 8, 16, 16, 1)
    long = model.retimed(24).generate(0, 3)
    assert long.shape == (3, 24, 16, 16, 1)
    np.testing.assert_allclose(long[:, :8], clips, atol=1e-5)
    np.testing.assert_allclose(model.retimed(15, 2.0).generate(0, 3)[:, ::2], clips, atol=1e-5)
    held = model.generate(0, 3, given={"motion": np.zeros((3, *model.asks["motion"].shape))})
    assert (held != clips).any()
    call = ["--mode=sample", f"--workdir={run}", "--count=2", "--kind=files", f"--output={tmp_path / 'clips'}"]
    assert main([*call, "--frames=24"]) == FINISHED
    with Image.open(tmp_path / "clips" / "00001.gif") as film:
        assert film.n_frames == 24
    assert main([*call, "--frames=0"]) == MISTAKE
    assert "--frames: got 0, expected 1" in capsys.readouterr().err
    with pytest.raises(UserError, match="got 0, expected 1 or more"):
        model.retimed(0)
    with pytest.raises(UserError, match="got 0, expected more than 0"):
        model.retimed(8, 0)


def test_the_last_frames_of_longer_clips_are_scored_too(run, capsys):
    call = ["--mode=evaluate", f"--workdir={run}"]
    assert main([*call, "--frames=8"]) == FINISHED
    scores = json.loads((run / "scores-4.json").read_text())["scores"]
    first = {name: value for name, value in scores.items() if not name.startswith("last/")}
    assert len(scores) == 2 * len(first)
    last = {name: scores[f"last/{name}"] for name in first}
    assert last == pytest.approx(first, rel=1e-5)  # of as many frames as the data's: they are the first ones
    assert main([*call, "--frames=20"]) == FINISHED
    longer = json.loads((run / "scores-4.json").read_text())["scores"]
    assert {name: longer[name] for name in first} == pytest.approx(first, rel=1e-5)
    assert main([*call, "--frames=7"]) == MISTAKE
    assert "--frames: got 7, expected 8 or more" in capsys.readouterr().err

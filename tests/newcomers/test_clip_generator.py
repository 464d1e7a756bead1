"""A generator of clips from outside, with a discriminator of frames and one of clips."""

import json
import pathlib

import numpy as np
import orbax.checkpoint as ocp
import pytest
from PIL import Image

import jaxgan
from jaxgan.data.clip_frames import ClipFrames
from jaxgan.errors import FINISHED, MISTAKE
from jaxgan.main import main
from jaxgan.training.stored import read_records

NAME = "clip_generator"
CONFIG = pathlib.Path(__file__).parent / NAME / "config.py"
QUIET = {"plots": "false", "tensorboard": "false", "compilation_cache": "false"}
ROUND = 8 * 4  # frames


def train(workdir, rounds, **changes):
    fields = {**QUIET, "images": str(rounds * ROUND), **changes}
    flags = [f"--config.{field}={value}" for field, value in fields.items()]
    return main([f"--allow={NAME}", f"--config={CONFIG}", f"--workdir={workdir}", *flags])


def arrays(workdir, step):
    found = {}
    for item in ("state", "ema"):
        with ocp.StandardCheckpointer() as checkpointer:
            for name, array in checkpointer.restore(workdir / "checkpoints" / str(step) / item).items():
                found[f"{item}/{name}"] = np.asarray(array)
    return found


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def run(runs):
    """Played at once to the fourth round."""
    if not (runs / "whole").exists():
        assert train(runs / "whole", 4) == FINISHED
    return runs / "whole"


def test_the_clock_counts_frames_and_both_discriminators_learn(run):
    record = read_records(run / "checkpoints")[4]
    assert record["images_seen"] == 4 * ROUND
    assert record["positions"] == {"data": 4 * ROUND // 4}  # clips
    first, last = arrays(run, 0), arrays(run, 4)
    moved = {name.split("/")[2] for name in first if "/params/" in name and not np.array_equal(first[name], last[name])}
    assert moved == {"generator", "frame_judge", "clip_judge"}
    lines = [json.loads(line)["scalars"] for line in (run / "scalars.jsonl").read_text().splitlines()]
    assert all(f"{judge}/accuracy" in lines[0] for judge in ("frame_judge", "clip_judge"))


@pytest.mark.slow
def test_a_resumed_run_equals_an_unbroken_one_from_a_stream_of_clips_too(run, runs):
    for cache in ("device", "stream"):
        halves = runs / cache
        assert train(halves, 2, **{"data.cache": cache}) == FINISHED
        assert train(halves, 4, **{"data.cache": cache}) == FINISHED
        whole, resumed = arrays(run, 4), arrays(halves, 4)
        assert whole.keys() == resumed.keys()
        for name, array in whole.items():
            np.testing.assert_array_equal(array, resumed[name], err_msg=name)


def test_it_is_scored_drawn_and_called(run, tmp_path, capsys):
    assert main(["--mode=evaluate", f"--allow={NAME}", f"--workdir={run}"]) == FINISHED
    report = json.loads((run / "scores-4.json").read_text())
    assert report["controls"].keys() == {"real", "first frame repeated", "frames shuffled", "pictures in a row"}
    assert all(scores.keys() == report["scores"].keys() for scores in report["controls"].values())
    assert (
        f"   frames shuffled {report['controls']['frames shuffled']['swd/patches-4x7x7']:.4f}"
        in capsys.readouterr().out
    )
    clips = jaxgan.load(run, allow=(NAME,)).generate(0, 3)
    assert clips.shape == (3, 4, 8, 8, 1)
    assert np.abs(clips).max() <= 1
    call = ["--mode=sample", f"--allow={NAME}", f"--workdir={run}", "--count=3"]
    assert main([*call, f"--output={tmp_path / 'x.png'}"]) == FINISHED
    picture = np.asarray(Image.open(tmp_path / "x.png"))
    assert picture.shape == (2 + 3 * 66, 2 + 4 * 66)  # a row a clip, of frames of 64 pixels and what is between them
    shown = picture[2 : 3 * 66 + 2, 2:].reshape(3, 66, 4, 66)[:, :64, :, :64].transpose(0, 2, 1, 3)[:, :, ::8, ::8]
    np.testing.assert_array_equal(shown, np.rint(clips[..., 0] * 127.5 + 127.5))
    assert main([*call, "--kind=files", f"--output={tmp_path / 'clips'}"]) == FINISHED
    with Image.open(tmp_path / "clips" / "00002.gif") as film:
        assert film.n_frames == 4
    capsys.readouterr()
    assert main([*call, "--kind=interpolate", f"--output={tmp_path / 'x.gif'}"]) == MISTAKE
    assert "--kind: got 'interpolate', but this model makes clips" in capsys.readouterr().err
    call = ["--mode=project", f"--allow={NAME}", f"--workdir={run}", f"--input={tmp_path / 'x.png'}"]
    assert main([*call, f"--output={tmp_path / 'y.png'}"]) == MISTAKE
    assert "this model makes clips (pixels [4, 8, 8, 1]), not single images" in capsys.readouterr().err


def test_scores_are_those_of_clips(run):
    from clip_generator import Dots

    from jaxgan.evaluators.patch_scores import PatchScores
    from jaxgan.evaluators.streams import score

    model, kept = jaxgan.load(run, allow=(NAME,)), []
    for start, count in ((0, 30), (30, 30), (60, 4)):
        seed = int(np.random.SeedSequence((0, start)).generate_state(1)[0] >> 1)
        kept.append(model.generate(seed, count))
    clips = np.rint(np.concatenate(kept) * 127.5 + 127.5).astype(np.uint8)
    expected = score(PatchScores(Dots("train"), samples=64, neighbours=5, seed=0), clips)
    assert any("4x7x7" in name for name in expected)
    found = json.loads((run / "scores.json").read_text())["scores"]
    assert found == pytest.approx({name: value for name, value in expected.items() if name in found}, rel=1e-4)


def test_frames_of_clips_are_examples_for_what_looks_at_pictures():
    from clip_generator import Dots

    source = ClipFrames(Dots("train"))
    assert source.spec.size == 64 * 4
    np.testing.assert_array_equal(
        source.read([5, 250, 6])["image"], Dots("train").read([1, 62])["image"][[0, 1, 0], [1, 2, 2]]
    )
    np.testing.assert_array_equal(source.picture(250)["image"], source.read([250])["image"][0])


def test_clips_of_another_size_than_a_network_makes_are_a_mistake(tmp_path, capsys):
    assert train(tmp_path / "run", 1, **{"networks.generator.frames": "3"}) == MISTAKE
    assert "config.networks.generator.frames: got 3, but dots has 4" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"task.of_clips.label_smoothing": "0.1"},
            "config.task.of_clips.label_smoothing: got 0.1, but config.task.of_clips.loss has no target",
        ),
        (
            {"task.of_frames.augment": "{'name': 'ada.ADA', 'chances': {'turn': 1.0}}"},
            "config.task.of_frames.augment.chances.turn does not exist",
        ),
        ({"task.of_clips.pack": "3"}, "config.task.of_clips.pack: got 3, accepted is a divisor of"),
    ],
)
def test_a_mistake_in_an_adversary_names_its_section(changes, told, tmp_path, capsys):
    assert train(tmp_path / "run", 1, **changes) == MISTAKE
    assert told in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_advice_names_the_section_of_an_adversary(run, capsys):
    assert main(["--mode=doctor", f"--allow={NAME}", f"--workdir={run}"]) == FINISHED
    told = capsys.readouterr().out
    assert "loss adversarial.hinge, adversarial.non_saturating" in told
    assert "change: --config.task.of_clips.loss=adversarial.relativistic" in told
    log = (run / "log.txt").read_text()
    assert "Set config.task.of_clips.loss='adversarial.relativistic'" in log
    assert "config.task.adversary" not in told + log

"""An external generator of clips, with a discriminator of frames and one of clips."""

import json

import numpy as np
import pytest
from newcomer_runs import arrays, trainer
from PIL import Image

import jaxgan
from jaxgan.checkpoints.on_disk import read_records
from jaxgan.data.clip_frames import ClipFrames
from jaxgan.errors import FINISHED, MISTAKE
from jaxgan.main import main
from jaxgan.media.grids import make_film, make_grid
from jaxgan.media.images import to_uint8
from jaxgan.metrics.velocity import velocities

NAME = "clip_generator"
ROUND = 8 * 4  # frames
train = trainer(NAME, ROUND)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def run(runs):
    """Trained to the fourth round without a stop."""
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
    for flags, why in (
        (["--kind=mixing"], "--kind: got 'mixing', but this model makes clips"),
        (["--kind=videos", "--frames=5"], "--frames: got 5, but this model makes clips of 4 frames only"),
        (["--kind=interpolate", "--over=motion"], "this model has no latents of motion"),
    ):
        assert main([*call, *flags]) == MISTAKE
        assert why in capsys.readouterr().err
    assert main([*call, "--kind=interpolate", "--over=content", f"--output={tmp_path / 'w.png'}"]) == FINISHED
    assert np.asarray(Image.open(tmp_path / "w.png")).shape == picture.shape
    capsys.readouterr()
    call = ["--mode=project", f"--allow={NAME}", f"--workdir={run}", f"--input={tmp_path / 'x.png'}"]
    assert main([*call, f"--output={tmp_path / 'y.png'}"]) == MISTAKE
    assert "this model makes clips (pixels [4, 8, 8, 1]), not single images" in capsys.readouterr().err


def test_a_run_draws_a_film_of_all_samples_beside_a_strip_of_those_in_the_first_column(run):
    av = pytest.importorskip("av")
    clips = to_uint8(jaxgan.load(run, allow=(NAME,)).generate(0, 4))
    (strip,) = (run / "samples").glob("*.png")
    shown = np.asarray(Image.open(strip))
    assert shown.shape == (2 + 2 * 66, 2 + 4 * 66)
    np.testing.assert_array_equal(shown, make_grid(clips[[0, 2]], columns=1)[..., 0])
    with av.open(str(strip.with_suffix(".mp4"))) as film:
        frames = np.stack([frame.to_ndarray(format="gray") for frame in film.decode(video=0)])
    errors = np.abs(frames - make_film(clips, columns=2)[..., 0].astype(float))
    assert errors.mean() < 2
    assert errors.max() < 24


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
    reals = Dots("train").read(np.arange(64))["image"]
    expected["motion/thumbnails"] = velocities(clips).change.mean() / velocities(reals).change.mean()
    found = json.loads((run / "scores.json").read_text())["scores"]
    assert found.pop("motion_diversity/thumbnails") > 0
    assert found == pytest.approx({name: value for name, value in expected.items() if name in found}, rel=1e-4)


def test_commands_for_images_use_the_frames_of_clips():
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
    ("changes", "reported"),
    [
        (
            {"task.of_clips.label_smoothing": "0.1"},
            "config.task.of_clips.label_smoothing: got 0.1, but config.task.of_clips.loss has no target",
        ),
        (
            {"task.of_frames.augment": "{'name': 'ada.ADA', 'chances': {'turn': 1.0}}"},
            "config.task.of_frames.augment.chances.turn does not exist",
        ),
        ({"task.of_clips.pack": "3"}, "config.task.of_clips.pack: got 3, expected a divisor of"),
    ],
)
def test_a_mistake_in_an_adversary_names_its_section(changes, reported, tmp_path, capsys):
    assert train(tmp_path / "run", 1, **changes) == MISTAKE
    assert reported in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_advice_names_the_section_of_an_adversary(run, capsys):
    assert main(["--mode=doctor", f"--allow={NAME}", f"--workdir={run}"]) == FINISHED
    reported = capsys.readouterr().out
    assert "loss adversarial.hinge, adversarial.non_saturating" in reported
    assert "change: --config.task.of_clips.loss=adversarial.relativistic" in reported
    log = (run / "log.txt").read_text()
    assert "Set config.task.of_clips.loss='adversarial.relativistic'" in log
    assert "config.task.adversary" not in reported + log

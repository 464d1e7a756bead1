"""A whole run in miniature: trained, resumed, finished, sampled, evaluated, restored."""

import gzip
import importlib.util
import json
import pathlib
import re
import sys

import numpy as np
import pytest
from PIL import Image

import jaxgan
from jaxgan.errors import FINISHED, MISTAKE
from jaxgan.main import main

QUICKSTART = str(pathlib.Path(__file__).parent.parent.parent / "configs" / "quickstart.py")


def size_of(path):
    with Image.open(path) as picture:
        return picture.size


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "tiny"
    flags = [
        "--config",
        QUICKSTART,
        "--workdir",
        str(path),
        "--config.tiny=true",
        "--config.compilation_cache=false",
        "--profile=1",
    ]
    assert main(flags) == FINISHED
    return path, flags


def test_everything_that_a_run_shows_lies_under_the_workdir(workdir):
    path, _ = workdir
    names = {each.name for each in path.iterdir()}
    assert {
        "config.json",
        "log.txt",
        "scalars.jsonl",
        "scores.json",
        "samples",
        "plots",
        "checkpoints",
        "tensorboard",
        "profile",
    } <= names
    assert {each.name for each in (path / "plots").iterdir()} == {
        "losses.png",
        "gradients.png",
        "logits.png",
        "scores.png",
        "throughput.png",
    }
    assert list((path / "tensorboard").iterdir())
    (trace,) = path.glob("profile/plugins/profile/*/perfetto_trace.json.gz")
    events = [event.get("name", "") for event in json.loads(gzip.decompress(trace.read_bytes()))["traceEvents"]]
    assert events.count("train") == 1  # the step that was asked for
    assert any("dot" in name or "conv" in name for name in events)  # what the device did in it
    told = (path / "log.txt").read_text()
    assert "traced 1 dispatches into" in told
    assert re.search(r"[\d,]+ images/s in training \([\d.e-]+ TFLOP/s\); of \d+ s .*compilation \d+%", told)
    assert min(size_of(path / "samples" / "000000064.png")) > 100
    scores = json.loads((path / "scores.json").read_text())
    assert scores["images"] == 64
    assert any(name.startswith("frechet/classifier-") for name in scores["scores"])
    assert scores["manifest"]["samples"] == 64


def test_a_finished_run_says_where_things_are(workdir, capfd):
    path, flags = workdir
    written = (path / "scalars.jsonl").read_text()
    assert main(flags) == FINISHED
    told = capfd.readouterr().err
    assert "this run is already finished" in told
    assert str(path / "samples" / "000000064.png") in told
    assert str(path / "checkpoints" / "8") in told
    assert (path / "scalars.jsonl").read_text() == written


def test_a_longer_run_goes_on_and_another_one_is_refused(workdir, capfd):
    path, flags = workdir
    assert main([*flags, "--config.seed=1"]) == MISTAKE
    assert "config.seed: got 1, but the run in" in capfd.readouterr().err
    assert sorted(each.name for each in (path / "checkpoints").iterdir()) == ["0", "8"]


def test_samples_of_every_kind(workdir, tmp_path, capsys):
    path, _ = workdir
    sample = ["--mode=sample", "--workdir", str(path)]
    assert main([*sample, "--count=6", f"--output={tmp_path / 'grid.png'}"]) == FINISHED
    assert main([*sample, "--kind=files", "--count=3", "--labels=7", f"--output={tmp_path / 'files'}"]) == FINISHED
    assert main([*sample, "--kind=classes", "--count=2", f"--output={tmp_path / 'classes.png'}"]) == FINISHED
    assert (
        main([*sample, "--kind=interpolate", "--count=2", "--labels=1,2", f"--output={tmp_path / 'walk.gif'}"])
        == FINISHED
    )
    assert len(list((tmp_path / "files").iterdir())) == 3
    assert size_of(tmp_path / "files" / "00000.png") == (16, 16)
    with Image.open(tmp_path / "walk.gif") as walk:
        assert walk.n_frames > 10
    classes, grid = (size_of(tmp_path / name) for name in ("classes.png", "grid.png"))
    assert classes[1] > 5 * grid[1] > 0
    assert "step 8" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--kind=film"], "--kind: got 'film'"),
        (["--count=0"], "--count: got 0"),
        (["--labels=a"], "--labels: got 'a'"),
        (["--labels=12"], "--labels: got 12 to 12, expected 0 to 9"),
        (["--checkpoint=3"], "--checkpoint: got 3, expected one of 'latest', 'best'"),
        (["--kind=interpolate", "--output=walk.avi"], "expected one of .gif, .webp, .mp4"),
    ],
)
def test_a_mistake_in_sampling_is_one_line(workdir, flags, words, capsys):
    path, _ = workdir
    assert main(["--mode=sample", "--workdir", str(path), *flags]) == MISTAKE
    told = capsys.readouterr().err
    assert words in told
    assert told.count("\n") == 1


def test_a_checkpoint_is_evaluated_with_more_samples(workdir, capsys):
    path, _ = workdir
    assert main(["--mode=evaluate", "--workdir", str(path), "--samples=100"]) == FINISHED
    report = json.loads((path / "scores-8.json").read_text())
    assert report["manifest"]["samples"] == 100
    assert "frechet/classifier-" in capsys.readouterr().out


def test_the_generator_is_loaded_without_its_training(workdir):
    path, _ = workdir
    generator = jaxgan.load(path)
    images = generator.generate(0, 12)
    assert images.shape == (12, 16, 16, 1)
    assert generator.class_names == tuple(map(str, range(10)))
    assert np.abs(images).max() <= 1.0
    np.testing.assert_array_equal(images, jaxgan.load(path, step="best").generate(0, 12))


@pytest.mark.slow
def test_a_run_without_matplotlib(tmp_path, capfd, monkeypatch):
    """It is an extra: a run says once that there are no plots, and does all else."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *at: None if name == "matplotlib" else found(name, *at)
    )
    path = tmp_path / "run"
    flags = ["--config", QUICKSTART, f"--workdir={path}", "--config.tiny=true", "--config.compilation_cache=false"]
    assert main(flags) == FINISHED
    told = "".join(capfd.readouterr())
    assert told.count("no plots are written: they need the package matplotlib: pip install -e '.[plots]'\n") == 1
    assert "  plots  " not in told
    assert list((path / "samples").iterdir())
    sweep = ["--mode=sample", f"--workdir={path}", "--kind=truncation", f"--output={tmp_path / 'x.png'}"]
    assert main(sweep) == MISTAKE
    assert "pip install -e '.[plots]'" in capfd.readouterr().err

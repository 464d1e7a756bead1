"""What a run says of its data at its start, and of data that are others than at the last one."""

import dataclasses
import json
import pathlib
import re

import numpy as np
import pytest
from PIL import Image

from jaxgan.commands.train import total_images
from jaxgan.config.overrides import load_config
from jaxgan.data.sources import DataSpec
from jaxgan.errors import FINISHED, MISTAKE
from jaxgan.fields import frames, picture_fields, pixel_field
from jaxgan.main import main

CONFIG = str(pathlib.Path(__file__).parent.parent.parent / "configs" / "vanilla_gan.py")


def draw(folder, count, seed=0):
    pixels = np.random.default_rng(seed)
    for label in ("cat", "dog"):
        for number in range(count):
            (folder / label).mkdir(parents=True, exist_ok=True)
            picture = Image.fromarray(pixels.integers(0, 256, (16, 16, 3), dtype=np.uint8))
            picture.convert("P").save(folder / label / f"{number}.png")


def train(folder, workdir, images, *more):
    flags = {
        "config": CONFIG,
        "workdir": workdir,
        "config.tiny": "true",
        "config.data.name": folder,
        "config.batch_size": 8,
        "config.epochs": "None",
        "config.images": images,
        "config.evaluation.samples": 8,
        "config.evaluation.neighbours": 1,
        "config.evaluation.features": "patches",
        "config.rounds_per_dispatch": 1,
        "config.plots": "false",
        "config.tensorboard": "false",
    }
    return main([*(f"--{name}={value}" for name, value in flags.items()), *more])


def test_the_clock_of_a_run_counts_the_frames_of_clips():
    pictures = DataSpec("some", "train", 100, picture_fields(16, 16, 1), "f")
    clips = dataclasses.replace(pictures, fields={"image": pixel_field(16, 16, 1, frames=3)})
    config = dataclasses.replace(load_config(CONFIG, {}), batch_size=8, images=20, epochs=None)
    assert [total_images(config, spec, frames(spec.fields)) for spec in (pictures, clips)] == [
        24,
        24,
    ]  # in rounds of 8, and of 24
    config = dataclasses.replace(config, images=None, epochs=2)
    assert [total_images(config, spec, frames(spec.fields)) for spec in (pictures, clips)] == [200, 600]


def test_a_task_that_asks_for_what_the_data_lack_is_told_before_anything_is_written(tmp_path, capfd):
    draw(tmp_path / "photos", 12)
    restoring = str(pathlib.Path(CONFIG).parent / "edges2photo.py")
    crops = ("--config.data.crops=1", "--config.data.resolution=16", "--config.task.degradation=None")
    flags = ("--config", restoring, f"--workdir={tmp_path / 'run'}", f"--config.data.name={tmp_path / 'photos'}")
    assert main([*flags, "--config.networks.generator.halvings=4", *crops]) == MISTAKE
    told = capfd.readouterr().err
    assert "config.task asks for 'condition' (pixels [?, ?, ?]), " in told
    assert "gives 'image' (pixels [16, 16, 3]): give config.task.degradation or config.data.condition" in told
    assert told.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_run_tells_of_its_data_and_of_their_changes(tmp_path, capfd):
    folder, workdir = tmp_path / "photos", tmp_path / "run"
    draw(folder, 12)
    assert train(folder, workdir, 8) == FINISHED
    told = capfd.readouterr().err
    assert told.count("24 pictures of 16 x 16 pixels") == 1
    assert told.count("a palette, read as colours") == 1  # of six who open the data
    assert told.count("classes   2: cat 12, dog 12\n") == 1
    assert "batch" not in told
    assert "a palette, read as colours" in (workdir / "log.txt").read_text()
    manifest = json.loads((workdir / "checkpoints" / "1" / "manifest.json").read_text())
    assert manifest["record"]["data"]["trained on"]["classes"] == ["cat", "dog"]

    for number in range(6):  # half of a class
        (folder / "dog" / f"{number}.png").unlink()
    assert train(folder, workdir, 16) == FINISHED
    told = capfd.readouterr().err
    assert told.count("the data were changed since the last checkpoint") == 1
    assert "dog" in told.partition("the data were changed")[2].partition("\n")[0]
    assert "earlier scores were computed on other data" in told

    assert train(folder, workdir, 16) == FINISHED  # there is nothing left to do
    assert "changed" not in capfd.readouterr().err

    (folder / "dog").rename(folder / "wolf")
    assert train(folder, workdir, 24) == MISTAKE
    told = capfd.readouterr().err
    assert "was trained on: gone: 'dog'; new: 'wolf'; give the same data" in told
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (1, "got 1, which requires at least 2 images: the split 'train' of .* has 1 image for the scores to"),
        (2, "got 5, which requires at least 6 images: .* has 3 images .*set --config.evaluation.neighbours=1 to 2$"),
    ],
)
def test_a_folder_of_too_few_pictures_is_one_line_that_says_what_is_needed(tmp_path, capfd, count, words):
    draw(tmp_path / "photos", count)
    neighbours = "--config.evaluation.neighbours=5" if count == 2 else "--config.seed=0"
    assert train(tmp_path / "photos", tmp_path / "run", 8, neighbours) == MISTAKE
    told = capfd.readouterr().err.splitlines()
    assert len([line for line in told if line.startswith("jaxgan:")]) == 1
    assert not (tmp_path / "run").exists()
    assert re.search(words, told[-1])


@pytest.mark.slow
def test_the_same_folder_may_be_written_otherwise_and_another_may_not(tmp_path, capfd, monkeypatch):
    draw(tmp_path / "photos", 12)
    draw(tmp_path / "others", 12, seed=1)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    assert train("photos", tmp_path / "run", 8) == FINISHED
    images = 16
    for spelled in ("./photos", str(tmp_path / "photos"), "photos/"):
        assert train(spelled, tmp_path / "run", images) == FINISHED
        images += 8
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert train("../photos", tmp_path / "run", images) == FINISHED
    assert json.loads((tmp_path / "run" / "config.json").read_text())["config"]["data"]["name"] == "photos"
    capfd.readouterr()
    assert train("../others", tmp_path / "run", images + 8) == MISTAKE
    told = capfd.readouterr().err.splitlines()[-1]
    assert re.search(r"config\.data\.name: got '\.\./others', but the run in .* has 'photos'; give the same", told)

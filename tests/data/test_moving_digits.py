"""Moving digits: stored paths match the pixels, and training digits are in no test split."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds

from jaxgan.building.opening import open_source
from jaxgan.data import builders
from jaxgan.data.clips import moving_digits
from jaxgan.data.tfds_catalogue import FORMAT
from jaxgan.fields import pixel_field

EVERY = 25  # every 25th digit is enough here


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """All examples by config and split, prepared from fewer digits."""
    images, labels = builders.read_digits()
    folder = str(tmp_path_factory.mktemp("moving"))
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moving_digits, "read_digits", lambda: (images[::EVERY], labels[::EVERY]))
        for name in ("short", "long"):
            builder = tfds.builder(f"jaxgan_moving_digits/{name}", data_dir=folder, file_format=FORMAT)
            builder.download_and_prepare(file_format=FORMAT)
            for split in ("train", "test"):
                found[name, split] = [*builder.as_data_source(split)]
    assert "tensorflow" not in sys.modules
    return found


def centres(clip: np.ndarray) -> np.ndarray:
    """The centre of mass of each frame `[T,2]`: x and y."""
    frames = clip[..., 0].astype(np.float64)
    total, places = frames.sum((1, 2)), np.arange(frames.shape[-1])
    return np.stack([(frames.sum(axis) @ places) / total for axis in (1, 2)], axis=-1)


@pytest.mark.parametrize(("name", "frames"), [("short", 16), ("long", 64)])
def test_what_is_stored_of_a_path_is_what_is_seen(examples, name, frames):
    bounced = 0
    for example in examples[name, "train"]:
        assert example["image"].shape == (frames, 32, 32, 1)
        np.testing.assert_allclose(centres(example["image"]), example["position"], atol=0.03)
        steps, velocity = np.diff(example["position"], axis=0), example["velocity"]
        straight = (velocity[1:] == velocity[:-1]).all(axis=1)  # no bounce between two frames of equal velocity
        np.testing.assert_allclose(steps[straight], velocity[:-1][straight], atol=1e-4)
        np.testing.assert_allclose(np.linalg.norm(velocity, axis=1), example["speed"], rtol=1e-5)
        assert 0.5 <= example["speed"] <= 2
        assert example["bounces"] == (velocity[1:] != velocity[:-1]).sum()
        bounced += example["bounces"] > 0
    assert bounced > len(examples[name, "train"]) / 10


def test_classes_are_digits_and_directions(examples):
    ways = np.array([(1, 0), (0, 1), (-1, 0), (0, -1)])
    for example in examples["short", "train"]:
        assert example["label"] == 4 * example["digit"] + example["direction"]
        moved = example["velocity"][0] @ ways[example["direction"]]
        assert moved >= np.cos(np.deg2rad(30.001)) * example["speed"]
    assert (
        np.unique([each["label"] for each in examples["short", "train"]], return_counts=True)[1].tolist() == [18] * 40
    )
    assert all(example["label"] == example["digit"] for example in examples["long", "train"])


def test_a_digit_is_in_one_split_and_the_same_in_every_run(examples):
    _, labels = builders.read_digits()
    assert (len(examples["short", "train"]), len(examples["short", "test"])) == (4 * 180, 4 * 20)
    assert (len(examples["long", "train"]), len(examples["long", "test"])) == (180, 20)
    assert builders.tested(labels).sum() == 500
    glyphs = [moving_digits._glyph(image).tobytes() for image in builders.read_digits()[0][::EVERY]]
    assert len(set(glyphs)) == len(glyphs)
    image = builders.read_digits()[0][7 * EVERY]
    one, again, other = (
        moving_digits.move(image, 2, 16, np.random.default_rng(seed))["image"]
        for seed in ((0, 7, 2), (0, 7, 2), (0, 8, 2))
    )
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
    assert any((one == example["image"]).all() for example in examples["short", "train"])


def test_they_are_read_as_any_clips(examples, data_config, tmp_path, monkeypatch):
    images, labels = builders.read_digits()
    monkeypatch.setattr(moving_digits, "read_digits", lambda: (images[::EVERY], labels[::EVERY]))
    config = data_config("jaxgan_moving_digits/short", data_dir=str(tmp_path), frames=16)
    source = open_source(config, "train")  # prepared automatically
    assert source.spec.fields["image"] == pixel_field(32, 32, 1, frames=16)
    assert len(source.spec.classes) == 40
    assert "7 left" in source.spec.classes
    read = source.read(range(source.spec.size))
    for row, example in enumerate(examples["short", "train"]):
        np.testing.assert_array_equal(read["image"][row], example["image"])
        assert read["label"][row] == example["label"]
    parts = open_source(data_config(**{**vars(config), "frames": 5, "stride": 2}), "test")
    assert parts.spec.size == len(examples["short", "test"])  # one of 9 frames in 16
    np.testing.assert_array_equal(parts.read([3])["image"][0], examples["short", "test"][3]["image"][:9:2])

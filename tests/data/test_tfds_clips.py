"""Clips of tfds data sets that TensorFlow wrote are read without it, and only their own frames are decoded."""

from __future__ import annotations

import logging
import shutil
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import stored_video
import tensorflow_datasets as tfds
from PIL import Image

from jaxgan.building.opening import open_source
from jaxgan.data.clips import records
from jaxgan.data.prepare import prepare
from jaxgan.errors import UserError
from jaxgan.fields import label_field, pixel_field

SIDE = 12


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> Path:
    """The data set that `stored_video.py` wrote with TensorFlow 2.21."""
    folder = tmp_path_factory.mktemp("video")
    with tarfile.open(Path(__file__).with_name("stored_video.tar.xz")) as archive:
        archive.extractall(folder, filter="data")
    return folder


def test_frames_that_tensorflow_wrote_are_read_pixel_for_pixel(stored, data_config):
    config = data_config("stored_video", data_dir=str(stored), frames=2, stride=2, hop=1, resolution=SIDE, fit="crop")
    for place in (config, data_config(**{**vars(config), "name": str(stored / "stored_video" / "1.0.0")})):
        source = open_source(place, "train")
        assert source.spec.fields == {
            "image": pixel_field(SIDE, SIDE, 3, frames=2),
            "label": label_field(stored_video.CLASSES),
        }
        expected = {
            (number % 3, clip[[start, start + 2], :, 2:14].tobytes())
            for number, length in enumerate(stored_video.FRAMES["train"])
            for clip in [stored_video.clip("train", number)]
            for start in range(length - 2)
        }
        read = source.read(range(source.spec.size))
        assert source.spec.size == len(expected) == 3 + 1 + 5 + 4
        found = {(int(label), clip.tobytes()) for label, clip in zip(read["label"], read["image"])}
        assert found == expected
        np.testing.assert_array_equal(source.labels(range(source.spec.size)), read["label"])
    test = open_source(config, "test")
    np.testing.assert_array_equal(test.read([1])["image"][0], stored_video.clip("test", 0)[[1, 3], :, 2:14])
    assert "tensorflow" not in sys.modules


@pytest.mark.parametrize("name", ["ucf101", "ucf101/only:1.0.0", "robonet"])
def test_names_whose_code_needs_tensorflow_find_what_is_prepared(stored, data_config, tmp_path, name):
    place = tmp_path / name.split("/")[0] / "only" / "1.0.0"
    shutil.copytree(stored / "stored_video" / "1.0.0", place)
    source = open_source(data_config(name, data_dir=str(tmp_path), frames=4, resolution=SIDE, fit="crop"), "test")
    np.testing.assert_array_equal(source.read([0])["image"][0], stored_video.clip("test", 0)[:, :, 2:14])


def test_lengths_are_counted_once_and_other_frames_are_not_decoded(stored, data_config, monkeypatch, caplog):
    config = data_config(stored / "stored_video" / "1.0.0", frames=3, resolution=8)
    with caplog.at_level(logging.INFO):
        sources = [open_source(config, "train") for _ in range(2)]
    assert caplog.text.count("counting the frames of 4 records") == 1
    decoded = []
    monkeypatch.setattr(records, "open_image", lambda data: decoded.append(data) or Image.new("RGB", (16, 12)))
    for source in sources:
        assert source.spec.size == 1 + 1 + 2 + 2  # of 5, 3, 7 and 6 frames
        source.read([0, 4])
    assert len(decoded) == 2 * 2 * 3
    assert ("clips", "6 of 3 frames, one after the other") in sources[0].spec.findings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frames": None}, "clips are read with --config.data.frames=N"),
        ({"frames": 9, "resolution": 8}, "config.data.frames=9: a clip takes 9 frames, the longest shot has 7 in the"),
        ({"frames": 4, "stride": 3, "resolution": 8}, "frames=4 with config.data.stride=3: a clip takes 10 frames"),
        ({"frames": 2}, "16x12, not square: give --config.data.resolution=N"),
        (
            {"frames": 2, "crops": 2, "resolution": 8, "condition": "left"},
            "config.data.condition: got 'left', expected None",
        ),
    ],
)
def test_what_does_not_fit_is_told(stored, data_config, changes, message):
    with pytest.raises(UserError) as caught:
        open_source(data_config("stored_video", data_dir=str(stored), **changes), "train")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_squares_are_cut_at_one_place_from_all_frames(stored, data_config):
    config = data_config("stored_video", data_dir=str(stored), frames=4, crops=5, resolution=6)
    source = open_source(config, "test")
    assert source.spec.fields == {"image": pixel_field(6, 6, 3, frames=4)}
    clip = stored_video.clip("test", 0)
    squares = {clip[:, top : top + 6, left : left + 6].tobytes() for top in range(7) for left in range(11)}
    assert {each.tobytes() for each in source.read(range(5))["image"]} <= squares


class Nested(tfds.core.GeneratorBasedBuilder):
    """Frames and masks in a nested feature, as in davis, or at the top level, as in bair_robot_pushing_small."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [tfds.core.BuilderConfig(name="inside"), tfds.core.BuilderConfig(name="top")]  # noqa: RUF012

    def _info(self):
        images = {
            "mask": tfds.features.Image(shape=(8, 8, 1)),
            "shown": tfds.features.Image(shape=(8, 8, 3)),
            "action": tfds.features.Tensor(shape=(4,), dtype=np.float32),
        }
        several = tfds.features.Sequence(images, length=3)
        inside = tfds.features.FeaturesDict({"film": several, "title": tfds.features.Text()})
        return tfds.core.DatasetInfo(builder=self, features=several if self.builder_config.name == "top" else inside)

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        images = [Image.new("RGB", (8, 8), (10 * number, 0, 0)) for number in range(3)]
        film = {"mask": [each.convert("L") for each in images], "shown": images, "action": np.zeros((3, 4), np.float32)}
        yield 0, film if self.builder_config.name == "top" else {"film": film, "title": "red"}


@pytest.mark.parametrize("name", ["inside", "top"])
def test_frames_lie_inside_of_other_features(name, data_config, tmp_path):
    assert prepare(data_config(f"nested/{name}", data_dir=str(tmp_path))).splits == {"train": 1}
    source = open_source(data_config(f"nested/{name}", data_dir=str(tmp_path), frames=3), "train")
    assert source.spec.fields == {"image": pixel_field(8, 8, 3, frames=3)}
    assert source.read([0])["image"][0, :, 4, 4].tolist() == [[0, 0, 0], [10, 0, 0], [20, 0, 0]]

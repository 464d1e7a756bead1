"""Random squares of pictures of any size, and pictures in pairs."""

import numpy as np
import pytest
from PIL import Image

from jaxgan.building.opening import open_pictures, open_source
from jaxgan.building.pipelines import make_pipeline
from jaxgan.config.run import DataConfig
from jaxgan.data.crops import CropSource
from jaxgan.data.sources import DataSpec
from jaxgan.errors import UserError
from jaxgan.fields import Field, picture_fields, pixel_field

SIZES = {"a.png": (20, 12), "b.png": (9, 30), "c.png": (5, 40)}  # width, height


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(0)
    for split in ("train", "test"):
        (tmp_path / "photos" / split).mkdir(parents=True)
        for name, (width, height) in SIZES.items():
            pixels = random.integers(0, 256, (height, width, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / split / name)
    return tmp_path / "photos"


def config_of(folder, **changes):
    return DataConfig(**{"name": str(folder), "resolution": 8, "crops": 5, **changes})


def test_every_crop_is_a_square_of_its_picture(folder):
    config = config_of(folder)
    source, pictures = open_source(config, "train"), open_pictures(config, "train")
    assert (source.spec.size, source.spec.fields) == (15, picture_fields(8, 8, 3))
    crops = source.read(range(15))["image"]
    for index, crop in enumerate(crops):
        picture = pictures.picture(index % 3)["image"]
        if min(picture.shape[:2]) < 8:
            picture = np.pad(picture, ((0, 0), (0, 3), (0, 0)), mode="symmetric")
        windows = np.lib.stride_tricks.sliding_window_view(picture, (8, 8, 3)).reshape(-1, 8, 8, 3)
        assert (windows == crop).all(axis=(1, 2, 3)).any()
    assert len(np.unique(crops.reshape(15, -1), axis=0)) == 15


def test_a_crop_is_the_same_in_every_reading_and_cache(folder):
    first, second = (open_source(config_of(folder, cache_bytes=kept), "train") for kept in (0, 10**9))
    np.testing.assert_array_equal(first.read([3, 14, 3])["image"], second.read([3, 14, 3])["image"])
    batches = [
        next(make_pipeline(config_of(folder, cache=cache), seed=0).batches(4, 6, slice(0, 6)))
        for cache in ("host", "stream")
    ]
    np.testing.assert_array_equal(batches[0]["image"], batches[1]["image"])


def test_other_crops_are_other_data(folder):
    prints = {
        open_source(config_of(folder, **changes), "train").spec.fingerprint
        for changes in ({}, {"crops": 6}, {"resolution": 7})
    }
    assert len(prints) == 3


def test_the_photographs_come_with_packages(tmp_path):
    config = DataConfig(name="jaxgan_photographs", data_dir=str(tmp_path), resolution=32, crops=2)
    train, test = (open_pictures(config, split) for split in ("train", "test"))
    assert (train.spec.size, test.spec.size, train.spec.image.channels) == (12, 4, 3)
    shapes = {test.picture(index)["image"].shape for index in range(4)}
    assert shapes == {(512, 512, 3), (300, 451, 3), (400, 600, 3), (427, 640, 3)}
    assert open_source(config, "train").read([0, 23])["image"].shape == (2, 32, 32, 3)


@pytest.fixture
def pairs(tmp_path):
    """A folder of pictures, one of their negatives as JPEG-free BMP, and one of both halves."""
    random = np.random.default_rng(1)
    for split in ("train", "test"):
        for folder in ("images", "negatives", "halves"):
            (tmp_path / folder / split).mkdir(parents=True)
        for name in ("x", "y"):
            pixels = random.integers(0, 256, (12, 10, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / split / f"{name}.png")
            Image.fromarray(255 - pixels).save(tmp_path / "negatives" / split / f"{name}.bmp")
            both = np.concatenate([255 - pixels, pixels], axis=1)
            Image.fromarray(both).save(tmp_path / "halves" / split / f"{name}.png")
    return tmp_path


@pytest.mark.parametrize("kind", ["folders", "left", "right"])
def test_images_and_conditions_are_cut_alike(pairs, kind):
    name, condition = (pairs / "images", str(pairs / "negatives")) if kind == "folders" else (pairs / "halves", kind)
    source = open_source(config_of(name, condition=condition), "train")
    assert source.spec.fields == {"image": pixel_field(8, 8, 3), "condition": pixel_field(8, 8, 3)}
    fields = source.read(range(10))
    assert fields["image"].shape == fields["condition"].shape == (10, 8, 8, 3)
    np.testing.assert_array_equal(fields["image"], 255 - fields["condition"])
    ours = open_pictures(config_of(pairs / "images"), "train").picture(0)["image"]
    whole = open_pictures(config_of(name, condition=condition), "train").picture(0)
    np.testing.assert_array_equal(whole["image"], 255 - ours if kind == "right" else ours)
    np.testing.assert_array_equal(whole["condition"], 255 - whole["image"])


class Numbered:
    """A clip of five frames whose pixels are the numbers of their places, and one that is smaller than the crops."""

    spec = DataSpec("clips", "train", 2, {"image": pixel_field(None, None, 1, frames=5)}, "f")

    def picture(self, index):
        height, width = ((16, 15), (6, 9))[index]
        places = np.arange(height * width, dtype=np.uint8).reshape(height, width, 1)
        return {"image": np.broadcast_to(places, (5, height, width, 1))}


def test_crops_of_every_second_clip_pan_at_one_speed():
    read = CropSource(Numbered(), crops=200, resolution=8, keep_bytes=10**6, pan=2).read(range(0, 400, 2))["image"]
    row, column = np.divmod(read[:, :, 0, 0, 0].astype(int), 15)
    speeds = np.stack([np.diff(row), np.diff(column)], axis=-1)
    assert (speeds == speeds[:, :1]).all()
    assert np.unique(speeds[:, 0, 0]).tolist() == [-2, -1, 0, 1, 2]
    assert np.unique(speeds[:, 0, 1]).tolist() == [-1, 0, 1]  # there is room for 7 pixels in 4 steps
    assert 0.3 < (speeds[:, 0] != 0).any(axis=-1).mean() < 0.5  # half of them pan, and some of these at no speed
    whole = np.arange(8)[:, None] * 15 + np.arange(8)
    np.testing.assert_array_equal(read[..., 0], (row * 15 + column)[..., None, None] + whole)


def test_clips_that_leave_no_room_stand_still():
    read = CropSource(Numbered(), crops=20, resolution=8, keep_bytes=10**6, pan=2).read(range(1, 40, 2))["image"]
    np.testing.assert_array_equal(read, read[:, :1].repeat(5, axis=1))


def test_pan_is_other_data_and_is_for_clips(folder):
    still, moving = (CropSource(Numbered(), crops=2, resolution=8, keep_bytes=0, pan=pan).spec for pan in (0, 2))
    assert still.fingerprint != moving.fingerprint
    assert "half of them moving by up to 2 pixels a frame" in dict(moving.findings)["pixels"]
    with pytest.raises(UserError, match=r"config.data.pan: got 2, expected 0, as image is a picture"):
        open_source(config_of(folder, pan=2), "train")


def test_planes_of_all_kinds_are_cut_at_one_place_and_the_rest_is_left():
    fields = {
        "image": pixel_field(None, None, 2, frames=3),
        "mask": Field((None, None, 1), "bool", "mask"),
        "caption": Field((4,), "int32", "tokens"),
    }

    class Clips:
        """Clips of three frames of 9 x 7 and of 5 x 7 pixels, with a mask and a caption."""

        spec = DataSpec("clips", "train", 2, fields, "f")

        def picture(self, index):
            height = (9, 5)[index]
            places = np.arange(height * 7, dtype=np.uint8).reshape(height, 7, 1)
            image = np.stack([places + frame for frame in range(3)]) + np.zeros((1, 1, 1, 2), np.uint8)
            return {"image": image, "mask": places % 2 == 1, "caption": np.arange(4, dtype=np.int32) + index}

    source = CropSource(Clips(), crops=6, resolution=6, keep_bytes=10**6)
    read = source.read(range(12))
    assert source.spec.fields["image"] == pixel_field(6, 6, 2, frames=3)
    assert source.spec.fields["mask"].shape == (6, 6, 1)
    assert source.spec.fields["caption"] == fields["caption"]
    assert {name: (array.shape, array.dtype) for name, array in read.items()} == {
        "image": ((12, 3, 6, 6, 2), np.uint8),
        "mask": ((12, 6, 6, 1), bool),
        "caption": ((12, 4), np.int32),
    }
    places = read["image"][:, 0, :, :, :1]
    frames = places[:, None] + np.arange(3).reshape(1, 3, 1, 1, 1)
    np.testing.assert_array_equal(read["image"], np.broadcast_to(frames, read["image"].shape))
    np.testing.assert_array_equal(read["mask"], places % 2 == 1)
    np.testing.assert_array_equal(read["caption"][:, 0], np.arange(12) % 2)
    assert len(np.unique(places[::2, 0, 0])) > 1  # not always the same place
    np.testing.assert_array_equal(places[1, 4], places[1, 5])  # mirrored at the edge


def test_pairs_that_are_none_are_told(pairs, folder):
    (pairs / "negatives" / "train" / "y.bmp").unlink()
    for changes, words in (
        ({"name": str(pairs / "images"), "condition": str(pairs / "negatives")}, "1 images have no picture"),
        ({"name": str(pairs / "images"), "condition": "below"}, "expected 'left', 'right'"),
        ({"condition": "left", "crops": None}, "config.data.crops is missing"),
    ):
        with pytest.raises(UserError, match=words):
            open_source(config_of(folder, **changes), "train")
    with pytest.raises(UserError, match="9 pixels wide"):
        open_source(config_of(folder, condition="left"), "train").read([1])


def test_crops_need_a_resolution_and_pictures(folder, digits_dir):
    with pytest.raises(UserError, match=r"config\.data\.resolution: got None"):
        open_source(config_of(folder, resolution=None), "train")
    with pytest.raises(UserError, match="has no pictures to crop"):
        open_source(config_of("stacked:jaxgan_digits", data_dir=str(digits_dir)), "train")

"""Data sets behind a scheme, here `memory://` in place of `gs://`."""

import io

import fsspec
import numpy as np
import pytest
from filming import make
from PIL import Image

from jaxgan.building.opening import open_source
from jaxgan.config.run import DataConfig
from jaxgan.data import remote
from jaxgan.data.tfds_catalogue import open_builder
from jaxgan.errors import UserError


@pytest.fixture
def bucket(monkeypatch, tmp_path):
    """A file system behind `memory://`, and an empty cache on this host."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    remote.local_copy.cache_clear()
    system = fsspec.filesystem("memory")
    system.rm("/", recursive=True)
    yield system
    remote.local_copy.cache_clear()


def images(config, split):
    source = open_source(config, split)
    return source.read(range(source.spec.size))["image"]


def png(value):
    buffer = io.BytesIO()
    Image.new("L", (8, 8), value).save(buffer, format="PNG")
    return buffer.getvalue()


def test_a_folder_of_images(bucket, tmp_path):
    for split in ("train", "test"):
        for value in (0, 100, 200):
            bucket.pipe(f"/b/faces/{split}/{value}.png", png(value))
    config = DataConfig("memory://b/faces")
    assert open_source(config, "train").spec.size == 3
    assert sorted(np.unique(images(config, "test"))) == [0, 100, 200]
    assert (tmp_path / "cache/jaxgan/remote/memory/b/faces/train/0.png").is_file()


def test_films_and_folders_of_frames(bucket, tmp_path):
    for split in ("train", "test"):
        make(tmp_path / "film.mkv", [np.full((16, 16, 3), level, np.uint8) for level in range(6)], "ffv1", "bgr0")
        bucket.pipe(f"/b/films/{split}/film.mkv", (tmp_path / "film.mkv").read_bytes())
        for value in range(7):
            bucket.pipe(f"/b/films/{split}/frames/{value}.png", png(10 * value))
    found = images(DataConfig("memory://b/films", frames=3, resolution=8), "test")
    levels = [[0, 1, 2], [3, 4, 5], [0, 10, 20], [30, 40, 50]]
    np.testing.assert_array_equal(found[..., 0], np.broadcast_to(np.array(levels)[..., None, None], (4, 3, 8, 8)))


def test_a_data_set_that_tfds_prepared(bucket, tmp_path):
    here = DataConfig("jaxgan_digits", data_dir=str(tmp_path / "prepared"), resolution=8)
    folder = open_builder(here).data_path
    version = folder.name
    for path in folder.iterdir():
        bucket.pipe(f"/b/tfds/some_digits/{version}/{path.name}", path.read_bytes())
    there = DataConfig(f"memory://b/tfds/some_digits/{version}", resolution=8)
    np.testing.assert_array_equal(images(there, "test"), images(here, "test"))


def test_of_a_data_dir_the_one_data_set_is_copied(bucket, tmp_path):
    bucket.pipe("/b/tfds/cars/64x64/1.0.0/x", b"x")
    bucket.pipe("/b/tfds/cars/128x128/1.0.0/x", b"x")
    bucket.pipe("/b/tfds/dogs/1.0.0/x", b"x")
    config = remote.with_local_files(DataConfig("cars/64x64:1.0.0", data_dir="memory://b/tfds/"))
    place = tmp_path / "cache/jaxgan/remote/memory/b/tfds"
    assert config.data_dir == str(place)
    assert [path.relative_to(place).as_posix() for path in place.rglob("x")] == ["cars/64x64/1.0.0/x"]


def test_only_what_has_changed_is_copied_again(bucket, tmp_path):
    bucket.pipe({"/b/f/same": b"1234", "/b/f/grown": b"12"})
    place = remote.local_copy("memory://b/f")
    (place / "same").write_bytes(b"mine")
    bucket.pipe({"/b/f/grown": b"123", "/b/f/new/one": b"1"})
    remote.local_copy.cache_clear()
    remote.local_copy("memory://b/f")
    assert (place / "same").read_bytes() == b"mine"
    assert (place / "grown").read_bytes() == b"123"
    assert (place / "new" / "one").read_bytes() == b"1"


def test_local_paths_are_left_alone():
    config = DataConfig("jaxgan_digits", data_dir="/somewhere")
    assert remote.with_local_files(config) is config


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (DataConfig("memory://b/nothing"), "memory://b/nothing is not there"),
        (DataConfig("mnist", data_dir="memory://b/nothing"), "memory://b/nothing/mnist is not there"),
        (DataConfig("sg://b/x"), "pip install"),
    ],
)
def test_what_is_not_there(bucket, config, words):
    with pytest.raises(UserError, match=words):
        open_source(config, "train")

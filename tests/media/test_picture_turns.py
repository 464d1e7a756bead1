"""EXIF orientations, undefined ones, and blocks that are not EXIF."""

import io
import pathlib
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

import jaxgan
from jaxgan.media.films.animations import Animation
from jaxgan.media.films.stills import Folder
from jaxgan.media.reading import read_picture, stored_size

random = np.random.default_rng(0)
SAMPLES = random.integers(0, 256, (16, 24, 3), dtype=np.uint8)
SIDEWAYS = struct.pack("<2sHI", b"II", 42, 8) + struct.pack("<H", 1) + struct.pack("<HHIHHI", 0x0112, 3, 1, 6, 0, 0)


def orientation(kind, value):
    """An EXIF block with one field of any type."""
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<HHHI", 1, 0x0112, kind, 1) + value.ljust(4, b"\0") + b"\0" * 4


ODD = {
    "0": orientation(3, b"\0\0"),
    "9": orientation(3, b"\x09\0"),
    "65535": orientation(3, b"\xff\xff"),
    "text": orientation(2, b"6\0"),
    "a long 6 million": orientation(4, struct.pack("<I", 6_000_000)),
    "a fraction": b"Exif\0\0II*\0\x08\0\0\0"
    + struct.pack("<HHHII", 1, 0x0112, 5, 1, 26)
    + struct.pack("<III", 0, 6, 1),
    "junk": b"Exif\0\0" + bytes(range(200)),
    "empty": b"Exif\0\0",
    "cut off": b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01\x03",
    "far away": b"Exif\0\0II*\0\xff\xff\xff\x7f",
}


def saved(path, exif):
    Image.fromarray(SAMPLES).save(path, exif=exif)
    return path


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
@pytest.mark.parametrize("name", ODD)
def test_what_exif_does_not_define_turns_nothing(tmp_path, suffix, name):
    path = saved(tmp_path / f"a.{suffix}", ODD[name])
    assert read_picture(path).pixels.shape == SAMPLES.shape
    assert stored_size(path) == (16, 24)
    film = Folder(tmp_path)
    assert (film.format.width, film.format.height) == (24, 16)
    assert not film.damaged


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_a_tiff_with_an_orientation_that_is_none(tmp_path, value):
    exif = Image.Exif()
    exif[0x0112] = value
    path = saved(tmp_path / "a.tif", exif)
    assert read_picture(path).pixels.shape == SAMPLES.shape
    assert stored_size(path) == (16, 24)


@pytest.mark.parametrize("value", [1, 3, 5, 6, 8])
def test_the_size_is_that_of_the_picture_upright(tmp_path, value):
    exif = Image.Exif()
    exif[0x0112] = value
    for suffix in ("png", "jpg", "webp", "tif"):
        path = saved(tmp_path / f"{value}.{suffix}", exif)
        picture = read_picture(path)
        assert stored_size(path) == picture.pixels.shape[:2]


def test_a_turn_behind_the_pixels_of_a_png_is_found_without_decoding(tmp_path):
    file = io.BytesIO()
    Image.fromarray(SAMPLES).save(file, "PNG")
    chunk = b"eXIf" + SIDEWAYS
    late = struct.pack(">I", len(SIDEWAYS)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    path = tmp_path / "a.png"
    path.write_bytes(file.getvalue()[:-12] + late + file.getvalue()[-12:])
    assert stored_size(path) == read_picture(path).pixels.shape[:2] == (24, 16)
    film = Folder(tmp_path)
    assert (film.format.width, film.format.height) == (16, 24)
    assert next(film.frames()).picture.pixels.shape == (24, 16, 3)


@pytest.mark.parametrize("kind", ["webp", "png"])
@pytest.mark.parametrize("value", [1, 6, 3, 9])
def test_moving_pictures_are_turned_as_still_ones(tmp_path, kind, value):
    exif = Image.Exif()
    exif[0x0112] = value
    frames, path = [Image.fromarray(SAMPLES), Image.fromarray(255 - SAMPLES)], tmp_path / f"a.{kind}"
    options = {"lossless": True} if kind == "webp" else {}
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=40, exif=exif, **options)
    film = Animation(path)
    first, second = (frame.picture.pixels for frame in film.frames())
    np.testing.assert_array_equal(first, read_picture(path).pixels)
    np.testing.assert_array_equal(second, 255 - first)
    assert (film.format.height, film.format.width) == first.shape[:2] == ((24, 16) if value == 6 else (16, 24))


def test_no_other_module_decodes_pictures():
    root = pathlib.Path(jaxgan.__file__).parent
    places = {each.relative_to(root).as_posix() for each in root.rglob("*.py") if "Image.open(" in each.read_text()}
    assert places == {"media/reading.py"}

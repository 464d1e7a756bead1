"""Unusual pictures in a folder of training data: how they are read and reported."""

import logging

import numpy as np
import pytest
import tifffile
from PIL import Image

from jaxgan.building.opening import open_source


@pytest.fixture
def odd(tmp_path):
    """Pictures of one grey level, 100, in kinds that need care."""
    grey = np.full((8, 8), 100, np.uint8)
    Image.fromarray(grey).convert("RGB").save(tmp_path / "plain.png")
    Image.new("CMYK", (8, 8), (155, 155, 155, 0)).save(tmp_path / "print.jpg", quality=95)
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    tifffile.imwrite(tmp_path / "colour.tif", np.full((8, 8, 3), 100 * 257, np.uint16), photometric="rgb")
    Image.fromarray(grey.astype(np.float32) / 255).save(tmp_path / "float.tif")
    Image.fromarray(grey).convert("P").save(tmp_path / "palette.png")
    frames = [Image.fromarray(grey), Image.fromarray(grey // 2)]
    frames[0].save(tmp_path / "film.gif", save_all=True, append_images=frames[1:])
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (8, 8), (100, 100, 100)).save(tmp_path / "turned.tif", exif=exif)
    return tmp_path


def test_odd_pictures_are_read_alike_and_told_of(odd, data_config, caplog):
    with caplog.at_level(logging.WARNING):
        sources = [open_source(data_config(odd), split) for split in ("train", "test")]
    images = np.concatenate([source.read(range(source.spec.size))["image"] for source in sources])
    assert images.shape == (8, 8, 8, 3)
    assert np.abs(images.astype(int) - 100).max() <= 2
    told = caplog.text
    for count, words in {
        "1 picture: print.jpg": "CMYK, read as RGB",
        "3 pictures, such as colour.tif": "more than 8 bits, read as 8",
        "1 picture: film.gif": "the first of 2 pictures",
        "2 pictures, such as film.gif": "a palette, read as colours",
    }.items():
        assert told.count(f"{count} ({words}") == 1  # a line for each kind, once
    assert "plain.png" not in told


def test_a_tiff_on_its_side_has_the_size_that_it_is_read_with(tmp_path, data_config):
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in ("a.tif", "b.jpg", "c.png"):
        Image.new("RGB", (20, 10)).save(tmp_path / name, exif=exif)
    Image.new("RGB", (10, 20)).save(tmp_path / "d.png")
    with pytest.raises(Exception, match="are 10x20, not square"):
        open_source(data_config(tmp_path), "train")


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x09\0\0\0\0\0\0\0",  # 9: not defined
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\xff\xff\0\0\0\0\0\0",
        b"Exif\0\0" + bytes(range(200)),
        b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01\x03",
    ],
    ids=["9", "65535", "junk", "cut off"],
)
def test_exif_that_says_nothing_changes_nothing(exif, tmp_path, data_config, caplog):
    for name in ("a.png", "b.jpg", "c.webp"):
        Image.new("RGB", (20, 10)).save(tmp_path / name, exif=exif)
    Image.new("RGB", (20, 10)).save(tmp_path / "d.png")
    with caplog.at_level(logging.WARNING), pytest.raises(Exception, match="are 20x10, not square"):
        open_source(data_config(tmp_path), "train")
    assert "unreadable" not in caplog.text

"""Bringing images to one size and number of channels."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from jaxgan.data.transforms import Framing, open_image
from jaxgan.errors import UserError

pytestmark = pytest.mark.quick


def ramp(width: int, height: int) -> np.ndarray:
    return (np.arange(width * height) % 251).astype(np.uint8).reshape(height, width)


def test_pad_centres_on_black():
    image = ramp(28, 28) + 1
    framed = Framing(1, 32, "pad")(Image.fromarray(image))
    assert framed.shape == (32, 32, 1)
    np.testing.assert_array_equal(framed[2:-2, 2:-2, 0], image)
    assert framed.sum() == image.sum()


def test_pad_scales_larger_pictures_until_they_fit():
    framed = Framing(1, 16, "pad")(Image.new("L", (64, 32), 200))
    assert (framed[4:12] == 200).all()
    assert (framed[:4] == 0).all()
    assert (framed[12:] == 0).all()


def test_crop_takes_the_centre():
    image = ramp(20, 12)
    np.testing.assert_array_equal(Framing(1, 8, "crop")(Image.fromarray(image))[..., 0], image[2:10, 6:14])


def test_crop_scales_smaller_pictures_up():
    assert (Framing(3, 16, "crop")(Image.new("RGB", (4, 9), (10, 20, 30))) == (10, 20, 30)).all()


def test_resize_takes_the_central_square_and_is_antialiased():
    stripes = np.zeros((32, 64), np.uint8)
    stripes[:, ::2] = 200  # the finest grating: its mean is what an antialiased quarter shows
    stripes[:, :16] = stripes[:, 48:] = 255  # outside of the central square
    framed = Framing(1, 8, "resize")(Image.fromarray(stripes))
    assert framed.shape == (8, 8, 1)
    assert np.abs(framed[:, 1:-1].astype(int) - 100).max() <= 8


def test_a_picture_of_the_right_size_is_left_alone():
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    for fit in ("pad", "resize", "crop"):
        np.testing.assert_array_equal(Framing(3, 8, fit)(Image.fromarray(image)), image)


def test_transparency_is_laid_on_white():
    clear = Image.new("RGBA", (2, 2), (10, 20, 30, 0))
    half = Image.new("RGBA", (2, 2), (0, 0, 0, 128))
    assert (Framing(3)(clear) == 255).all()
    assert np.abs(Framing(1)(half).astype(int) - 127).max() <= 1
    assert (Framing(4)(clear) == (10, 20, 30, 0)).all()
    assert (Framing(1)(Image.new("LA", (2, 2), (0, 0))) == 255).all()


def test_transparent_palette_colour_is_white():
    palette = Image.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.putdata([0, 1])
    file = io.BytesIO()
    palette.save(file, "PNG", transparency=1)
    assert Framing(3)(open_image(file.getvalue())).tolist() == [[[255, 0, 0], [255, 255, 255]]]


def test_sixteen_bits_become_eight():
    values = np.array([[0, 257, 32896, 65535]], np.uint16)
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG")
    assert Framing(1)(open_image(file.getvalue()))[0, :, 0].tolist() == [0, 1, 128, 255]
    assert Framing(3)(open_image(file.getvalue()))[0, 2].tolist() == [128, 128, 128]


def test_cmyk_and_floats():
    assert np.abs(Framing(3)(Image.new("CMYK", (1, 1), (0, 255, 255, 0))).astype(int) - [255, 0, 0]).max() <= 1
    assert Framing(1)(Image.new("CMYK", (1, 1), (0, 0, 0, 255)))[0, 0, 0] == 0
    assert Framing(1)(Image.fromarray(np.array([[0.0, 1.0]], np.float32)))[0, :, 0].tolist() == [0, 255]


def test_floats_of_a_data_set_whose_white_nobody_knows_are_refused_in_a_line():
    with pytest.raises(UserError, match="a picture of the data set cannot be read: got floats up to 200"):
        Framing(1)(open_image(np.array([[[0.0], [200.0]]], np.float32)))


def test_grey_to_colour_and_back():
    image = Image.fromarray(ramp(5, 4))
    np.testing.assert_array_equal(Framing(3)(image), np.repeat(ramp(5, 4)[..., None], 3, axis=-1))
    assert Framing(1)(Image.new("RGB", (1, 1), (0, 255, 0)))[0, 0, 0] == 150  # ITU-R 601: 0.587 * 255


@pytest.mark.parametrize("wrong", [{"channels": 2}, {"channels": 3, "resolution": 0}, {"channels": 3, "fit": "squash"}])
def test_impossible_framings_are_refused(wrong):
    with pytest.raises(UserError, match="expected"):
        Framing(**wrong)

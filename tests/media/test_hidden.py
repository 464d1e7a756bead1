"""Colours under full transparency do not reach networks."""

import numpy as np
import pytest

from jaxgan.media.hidden import ROWS, spread


def reference(pixels, alpha):
    """The alpha-weighted mean of visible pixels in the smallest square of 2^n pixels that has any; with loops."""
    height, width = alpha.shape[:2]
    filled = pixels.astype(float)
    for y, x in zip(*np.nonzero(alpha[..., 0] == 0)):
        for size in 2 ** np.arange(1, 12):
            part = np.s_[y // size * size : y // size * size + size, x // size * size : x // size * size + size]
            weights = alpha[part].astype(float)
            if weights.any():
                filled[y, x] = (pixels[part] * weights).sum((0, 1)) / weights.sum()
                break
    assert filled.shape[:2] == (height, width)
    return filled


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(13, 7, 3), (16, 16, 1), (1, 9, 3), (2, 33, 1)])
def test_visible_colours_continue_into_hidden_pixels(shape, dtype):
    random, white = np.random.default_rng(0), np.iinfo(dtype).max
    pixels = random.integers(0, white + 1, shape, dtype=dtype)
    alpha = (random.random((*shape[:2], 1)) < 0.15) * random.integers(1, white + 1, (*shape[:2], 1))
    alpha = alpha.astype(dtype)
    before, filled = pixels.copy(), spread(pixels, alpha)
    np.testing.assert_array_equal(pixels, before)
    np.testing.assert_array_equal(filled[alpha[..., 0] > 0], pixels[alpha[..., 0] > 0])
    assert np.abs(filled - reference(pixels, alpha)).max() <= 0.51 + white * 1e-5


def test_a_picture_of_many_rows_is_filled_as_a_whole():
    alpha = np.zeros((2 * ROWS + 5, 6, 1), np.uint8)
    alpha[0, 0], alpha[-1, -1] = 255, 255
    pixels = np.zeros((*alpha.shape[:2], 3), np.uint8)
    pixels[0, 0], pixels[-1, -1] = (200, 10, 0), (0, 10, 200)
    filled = spread(pixels, alpha)
    assert filled[ROWS // 2, 3].tolist() == [200, 10, 0]
    assert filled[-3, 0].tolist() == [0, 10, 200]


def test_opaque_and_empty_pictures_are_left_alone():
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    for alpha in (
        None,
        np.full((4, 4, 1), 255, np.uint8),
        np.full((4, 4, 1), 1, np.uint8),
        np.zeros((4, 4, 1), np.uint8),
    ):
        assert spread(pixels, alpha) is pixels

"""Laplacian pyramids and thumbnails."""

import numpy as np
import pytest
import scipy.ndimage

from jaxgan.metrics.pyramid import laplacian_pyramid, thumbnails


def reference_down(image):
    kernel = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256
    return scipy.ndimage.convolve(image, kernel, mode="mirror")[::2, ::2]


def reference_up(image, shape):
    kernel = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 64
    spread = np.zeros(shape)
    spread[::2, ::2] = image
    return scipy.ndimage.convolve(spread, kernel, mode="mirror")


@pytest.mark.parametrize("size", [64, 45])
def test_levels_equal_a_reference_and_add_up_to_the_image(size):
    image = np.random.default_rng(0).normal(size=(size, size))
    levels = [level[0, :, :, 0] for level in laplacian_pyramid(image[None, :, :, None])]
    rest = image
    for level in levels[:-1]:
        smaller = reference_down(rest)
        np.testing.assert_allclose(level, rest - reference_up(smaller, rest.shape), atol=1e-5)
        rest = smaller
    np.testing.assert_allclose(levels[-1], rest, atol=1e-5)
    for level in levels[-2::-1]:
        rest = level + reference_up(rest, level.shape)
    np.testing.assert_allclose(rest, image, atol=1e-5)


@pytest.mark.parametrize(("size", "levels"), [(128, [128, 64, 32, 16]), (28, [28]), (8, [8])])
def test_levels_end_at_16_pixels(size, levels):
    images = np.zeros((1, size, size, 3), np.float32)
    assert [level.shape[1] for level in laplacian_pyramid(images)] == levels
    assert thumbnails(images).shape == (1, levels[-1] ** 2 * 3)


def test_thumbnails_are_the_coarsest_level():
    images = np.random.default_rng(0).normal(size=(2, 40, 64, 3)).astype(np.float32)
    np.testing.assert_array_equal(thumbnails(images), laplacian_pyramid(images)[-1].reshape(2, -1))

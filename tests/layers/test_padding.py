"""Padding by reflection, against numpy's."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.layers.padding import padded_to, reflect_pad


def image(height, width):
    return np.random.default_rng(0).normal(size=(2, height, width, 3)).astype(np.float32)


@pytest.mark.quick
@pytest.mark.parametrize(("height", "width", "border"), [(5, 7, 3), (1, 4, 1), (2, 3, 4)])
def test_a_mirrored_border(height, width, border):
    x = image(height, width)
    expected = np.pad(x, ((0, 0), (border, border), (border, border), (0, 0)), mode="reflect")
    np.testing.assert_array_equal(reflect_pad(jnp.asarray(x), border), expected)


@pytest.mark.quick
@pytest.mark.parametrize(("size", "padded"), [((8, 4), (8, 4)), ((5, 7), (8, 8)), ((1, 1), (4, 4)), ((2, 8), (4, 8))])
def test_sides_become_multiples_and_pixels_stay_in_place(size, padded):
    x = image(*size)
    y = padded_to(jnp.asarray(x), 4)
    assert y.shape == (2, *padded, 3)
    after = [(0, new - old) for new, old in zip(padded, size)]
    np.testing.assert_array_equal(y, np.pad(x, ((0, 0), *after, (0, 0)), mode="reflect"))

"""Pixels out of channels, against loops in PyTorch's order."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.layers.depth_to_space import depth_to_space, space_to_depth


@pytest.mark.quick
@pytest.mark.parametrize("factor", [1, 2, 3])
def test_the_order_is_that_of_pixel_shuffle(factor):
    channels = 2
    x = np.arange(2 * 3 * 4 * channels * factor**2, dtype=np.float32).reshape(2, 3, 4, -1)
    expected = np.zeros((2, 3 * factor, 4 * factor, channels), np.float32)
    for row, column, channel, i, j in np.ndindex(3, 4, channels, factor, factor):
        source = x[:, row, column, channel * factor**2 + i * factor + j]
        expected[:, row * factor + i, column * factor + j, channel] = source
    y = depth_to_space(jnp.asarray(x), factor)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(space_to_depth(y, factor), x)
    np.testing.assert_array_equal(space_to_depth(y[:, None], factor), x[:, None])  # clips
    # a permutation: the derivative of half the sum of squares is what went in
    np.testing.assert_array_equal(jax.grad(lambda x: (depth_to_space(x, factor) ** 2).sum() / 2)(jnp.asarray(x)), x)

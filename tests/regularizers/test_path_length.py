"""Path length of synthesizers whose derivative is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.layers.collective import axis
from jaxgan.regularizers.path_length import path_length, path_lengths

KEY = jax.random.key(0)
STYLE = jax.random.normal(jax.random.key(1), (6, 3, 4))
JACOBIAN = jax.random.normal(jax.random.key(2), (8, 8, 2, 3, 4))


def linear(style):
    return jnp.einsum("hwclk,blk->bhwc", JACOBIAN, style)


def test_lengths_of_a_linear_synthesizer():
    noise = jax.random.normal(KEY, (6, 8, 8, 2)) / 8
    product = np.einsum("hwclk,bhwc->blk", JACOBIAN, noise)
    expected = np.sqrt(np.square(product).sum(axis=2).mean(axis=1))
    np.testing.assert_allclose(path_lengths(STYLE, linear, KEY), expected, rtol=1e-5)


def test_expected_square_is_that_of_the_jacobian():
    # E |J^T y|^2 = |J|^2 / pixels, here also over the layers
    style = jnp.zeros((4000, 3, 4))
    mean = float(jnp.square(path_lengths(style, linear, KEY)).mean())
    assert mean == pytest.approx(float(jnp.square(JACOBIAN).sum()) / 64 / 3, rel=0.05)


def test_distance_from_a_moving_mean():
    lengths = path_lengths(STYLE[::2], linear, KEY)
    values, memory = path_length(STYLE, linear, KEY)
    np.testing.assert_allclose(memory["mean"], 0.01 * lengths.mean(), rtol=1e-5)
    np.testing.assert_allclose(values, 2.0 * jnp.square(lengths - memory["mean"]), rtol=1e-5)
    values, memory = path_length(STYLE, linear, KEY, weight=3.0, decay=0.5, shrink=3, memory={"mean": jnp.float32(2)})
    lengths = path_lengths(STYLE[::3], linear, KEY)
    np.testing.assert_allclose(memory["mean"], 1 + 0.5 * lengths.mean(), rtol=1e-5)
    np.testing.assert_allclose(values, 3.0 * jnp.square(lengths - memory["mean"]), rtol=1e-5)


def test_the_mean_is_that_of_all_devices_and_no_gradient_flows_through_it():
    def one(style):
        with axis("data"):
            return path_length(style, linear, KEY, decay=1.0, shrink=1)

    halves = STYLE.reshape(2, 3, 3, 4)
    values, memory = jax.vmap(one, axis_name="data")(halves)
    lengths = jnp.stack([path_lengths(half, linear, KEY) for half in halves])
    np.testing.assert_allclose(memory["mean"], lengths.mean(), rtol=1e-5)
    np.testing.assert_allclose(values, 2.0 * jnp.square(lengths - lengths.mean()), rtol=1e-4)

    def loss(scale):
        return path_length(STYLE, lambda style: scale * linear(style), KEY, decay=1.0, shrink=1)[0].sum()

    lengths = path_lengths(STYLE, linear, KEY)
    slope = 2 * 2.0 * ((lengths - lengths.mean()) * lengths).sum()  # of 2 (scale lengths - mean)^2, the mean held
    np.testing.assert_allclose(jax.grad(loss)(1.0), slope, rtol=1e-3)


def test_several_scales_count_by_the_largest_and_a_flat_synthesizer_stays_finite():
    scales = path_lengths(STYLE, lambda style: (linear(style), jnp.zeros((6, 4, 4, 2))), KEY)
    np.testing.assert_array_equal(scales, path_lengths(STYLE, linear, KEY))
    flat = jax.grad(lambda scale: path_lengths(STYLE, lambda style: scale * linear(style), KEY).sum())(0.0)
    assert np.isfinite(flat)

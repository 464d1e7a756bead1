"""Resampling against the formula: zeros between pixels, padding, correlation with the filter, every n-th pixel."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.layers.resampling import blur, box_downsample, box_upsample, downsample, upsample

TAPS = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64


def resampled(x, up, down, padding, gain):
    """By loops over the taps, in float64."""
    b, h, w, c = x.shape
    sparse = np.zeros((b, h * up, w * up, c))
    sparse[:, ::up, ::up] = x
    sparse = np.pad(sparse, ((0, 0), padding, padding, (0, 0)))
    height, width = sparse.shape[1] - 3, sparse.shape[2] - 3
    y = sum(TAPS[i, j] * sparse[:, i : i + height, j : j + width] for i in range(4) for j in range(4))
    return gain * y[:, ::down, ::down]


CASES = {
    "blur after a transposed convolution": (lambda x: blur(x, (1, 1), gain=4.0), (1, 1, (1, 1), 4)),
    "blur before a strided convolution": (lambda x: blur(x, (2, 2)), (1, 1, (2, 2), 1)),
    "blur of unequal padding": (lambda x: blur(x, (4, 0)), (1, 1, (4, 0), 1)),
    "upsample": (upsample, (2, 1, (2, 1), 4)),
    "downsample": (downsample, (1, 2, (1, 1), 1)),
}


@pytest.mark.parametrize("name", CASES)
def test_values_and_derivatives_of_two_orders(name):
    function, (up, down, padding, gain) = CASES[name]
    x = np.random.default_rng(0).normal(size=(2, 6, 4, 3)).astype(np.float32)
    y = jax.jit(function)(jnp.asarray(x))
    np.testing.assert_allclose(y, resampled(x, up, down, padding, gain), atol=1e-6)

    # the matrix of the formula, by unit images
    units = np.eye(24).reshape(24, 6, 4, 1)
    matrix = resampled(units, up, down, padding, gain).reshape(24, -1).T
    columns = jnp.asarray(units, jnp.float32)

    def loss(x):
        return jnp.sin(function(x)).sum()

    def penalty(x):
        return jnp.square(jax.grad(loss)(x)).sum()

    flat = matrix @ np.asarray(columns[5]).reshape(-1)
    gradient = matrix.T @ np.cos(flat)
    np.testing.assert_allclose(jax.jit(jax.grad(loss))(columns[5:6]).reshape(-1), gradient, atol=1e-5)
    second = 2 * matrix.T @ (-np.sin(flat) * (matrix @ gradient))
    np.testing.assert_allclose(jax.jit(jax.grad(penalty))(columns[5:6]).reshape(-1), second, atol=1e-5)


def test_boxes():
    x = np.random.default_rng(0).normal(size=(2, 4, 6, 3)).astype(np.float32)
    means = (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) / 4
    np.testing.assert_allclose(box_downsample(jnp.asarray(x)), means, atol=1e-6)
    np.testing.assert_array_equal(box_upsample(jnp.asarray(x)), np.kron(x, np.ones((1, 2, 2, 1))))


def test_gain_of_a_constant_image_is_one_inside():
    x = jnp.ones((1, 8, 8, 1))
    for y in (upsample(x), downsample(x), blur(x, (2, 1))):
        np.testing.assert_allclose(y[0, 2:-2, 2:-2, 0], 1.0, atol=1e-6)


@pytest.mark.parametrize("function", [upsample, downsample, lambda x: blur(x, (1, 1))])
def test_low_precision_stays_low(function):
    x = jnp.ones((1, 4, 4, 1), jnp.bfloat16)
    assert jax.eval_shape(function, x).dtype == jnp.bfloat16
    assert jax.eval_shape(jax.grad(lambda x: function(x).sum()), x).dtype == jnp.bfloat16

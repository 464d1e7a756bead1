"""Gated convolution: the formula, and a start that keeps the signal."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.layers.conv import Conv
from jaxgan.layers.gating import gated, gated_init


@pytest.mark.quick
def test_the_formula():
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 6)).astype(np.float32)
    features, gates = x[..., :3], x[..., 3:]
    expected = np.where(features > 0, features, 0.2 * features) / (1 + np.exp(-gates))
    np.testing.assert_allclose(gated(jnp.asarray(x)), expected, rtol=1e-5)


def test_the_start_keeps_the_mean_square():
    keys = jax.random.split(jax.random.key(0), 5)
    x = jax.random.normal(keys[0], (2, 16, 16, 64))
    layer = jax.jit(
        lambda key, x: gated(Conv(128, padding="VALID", kernel_init=gated_init).init_with_output(key, x)[0])
    )
    for key in keys[1:]:
        x = layer(key, x)
    assert float(jnp.square(x).mean()) == pytest.approx(1.0, rel=0.3)


def test_the_halves_start_with_their_own_spread():
    kernel = gated_init(jax.random.key(0), (3, 3, 32, 64))
    deviations = np.asarray(kernel).reshape(-1, 2, 32).std(axis=(0, 2))
    np.testing.assert_allclose(deviations, np.sqrt([1 / (0.52 * 0.2934 * 288), 1 / 288]), rtol=0.03)

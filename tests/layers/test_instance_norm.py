"""Instance norm against its formula in numpy, and the choice of a norm by name."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.layers.instance_norm import instance_norm, normed

X = 2 * np.random.default_rng(0).normal(size=(3, 4, 5, 2)).astype(np.float32) + 7


def formula(x):
    x = x.astype(np.float64)
    return (x - x.mean(axis=(1, 2), keepdims=True)) / np.sqrt(x.var(axis=(1, 2), keepdims=True) + 1e-5)


def test_values_and_derivatives_of_two_orders():
    np.testing.assert_allclose(instance_norm(jnp.asarray(X)), formula(X), atol=1e-5)

    def plain(x):
        centred = x - x.mean(axis=(1, 2), keepdims=True)
        return centred * jax.lax.rsqrt(jnp.square(centred).mean(axis=(1, 2), keepdims=True) + 1e-5)

    def derivatives(norm):
        loss = lambda x: jnp.sin(norm(x)).sum()  # noqa: E731
        penalty = lambda x: jnp.square(jax.grad(loss)(x)).sum()  # noqa: E731
        return jax.jit(lambda x: (jax.grad(loss)(x), jax.grad(penalty)(x)))(jnp.asarray(X))

    for ours, reference in zip(derivatives(instance_norm), derivatives(plain)):
        np.testing.assert_allclose(ours, reference, rtol=1e-3, atol=1e-4)


def test_statistics_are_float32_in_a_half_precision_network():
    y = instance_norm(jnp.asarray(X + 1e3, jnp.bfloat16))
    assert y.dtype == jnp.bfloat16
    np.testing.assert_allclose(
        np.asarray(y, np.float32), formula(np.asarray(jnp.asarray(X + 1e3, jnp.bfloat16), np.float32)), atol=0.02
    )


class Network(nn.Module):
    norm: str

    @nn.compact
    def __call__(self, x):
        return normed(x, self.norm, train=True, name="norm")


@pytest.mark.parametrize("norm", ["instance", "batch", "none", "spectral"])
def test_a_norm_by_its_name(norm):
    y, tree = Network(norm).init_with_output(jax.random.key(0), jnp.asarray(X))
    expected = {"instance": formula(X), "batch": formula(X.reshape(1, -1, 1, 2)).reshape(X.shape)}.get(norm, X)
    np.testing.assert_allclose(y, expected, atol=1e-4)
    assert set(tree) == ({"params", "batch_stats"} if norm == "batch" else set())

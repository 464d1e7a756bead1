"""ReLU with a learned slope against its formula."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.layers.prelu import PReLU

X = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)


def test_value_and_gradients():
    tree = PReLU().init(jax.random.key(0), jnp.asarray(X))
    assert jax.tree.map(float, tree) == {"params": {"slope": 0.25}}
    tree = {"params": {"slope": jnp.float32(-0.5)}}
    np.testing.assert_allclose(PReLU().apply(tree, jnp.asarray(X)), np.where(X > 0, X, -0.5 * X), rtol=1e-6)

    def loss(tree, x):
        return jnp.square(PReLU().apply(tree, x)).sum() / 2

    by_slope, by_x = jax.grad(loss, (0, 1))(tree, jnp.asarray(X))
    np.testing.assert_allclose(by_slope["params"]["slope"], (-0.5 * np.minimum(X, 0) ** 2).sum(), rtol=1e-5)
    np.testing.assert_allclose(by_x, np.where(X > 0, X, 0.25 * X), rtol=1e-6)


def test_a_slope_for_each_channel():
    prelu, slopes = PReLU(by_channel=True), np.linspace(-0.5, 1.5, X.shape[-1], dtype=np.float32)
    tree = prelu.init(jax.random.key(0), jnp.asarray(X))
    np.testing.assert_array_equal(tree["params"]["slope"], np.full(X.shape[-1], 0.25))

    def loss(slope, x):
        y = prelu.apply({"params": {"slope": slope}}, x)
        return jnp.square(y).sum() / 2, y

    (by_slope, by_x), y = jax.grad(loss, (0, 1), has_aux=True)(jnp.asarray(slopes), jnp.asarray(X))
    np.testing.assert_allclose(y, np.where(X > 0, X, slopes * X), rtol=1e-6)
    np.testing.assert_allclose(by_slope, (slopes * np.minimum(X, 0) ** 2).sum(axis=(0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(by_x, np.where(X > 0, X, slopes**2 * X), rtol=1e-6)


def test_low_precision_stays_low():
    tree = PReLU().init(jax.random.key(0), jnp.asarray(X))
    assert tree["params"]["slope"].dtype == jnp.float32
    assert PReLU().apply(tree, jnp.asarray(X, jnp.bfloat16)).dtype == jnp.bfloat16

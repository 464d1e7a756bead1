"""The average of weights, by images."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.layers.spectral import spectral_norm
from jaxgan.training.ema import ema_decay, ema_update, variables_update


@pytest.mark.quick
def test_half_is_left_after_a_half_life():
    np.testing.assert_allclose(ema_decay(jnp.int32(500), jnp.int32(9_000), half_life_images=500), 0.5)
    np.testing.assert_allclose(ema_decay(jnp.int32(1000), jnp.int32(9_000), half_life_images=500), 0.25)


@pytest.mark.quick
def test_no_half_life_means_live_weights_and_stays_finite():
    assert ema_decay(jnp.int32(64), jnp.int32(64), half_life_images=0) == 0
    warming = {"name": "linear", "start": 0.0, "stop": 1000.0, "images": 100}
    assert ema_decay(jnp.int32(64), jnp.int32(0), half_life_images=warming) == 0
    np.testing.assert_allclose(ema_decay(jnp.int32(1000), jnp.int32(500), half_life_images=warming), 0.5)


@pytest.mark.quick
def test_rampup_bounds_the_half_life_by_the_images_seen():
    np.testing.assert_allclose(ema_decay(jnp.int32(50), jnp.int32(1000), half_life_images=1e6, rampup=0.05), 0.5)


@pytest.mark.quick
def test_floats_move_and_the_rest_is_copied():
    old, new = {"w": jnp.zeros(2), "n": jnp.int32(1)}, {"w": jnp.ones(2), "n": jnp.int32(5)}
    moved = ema_update(old, new, jnp.float32(0.75))
    np.testing.assert_allclose(moved["w"], [0.25, 0.25])
    assert moved["n"] == 5


@pytest.mark.quick
def test_of_the_variables_statistics_move_and_everything_else_is_copied():
    old, new = ({kind: {"layer": jnp.float32(value)} for kind in KINDS} for value in (0, 1))
    moved = variables_update(old, new, jnp.float32(0.75))
    assert {kind: float(value["layer"]) for kind, value in moved.items()} == KINDS


KINDS = {"batch_stats": 0.25, "average": 0.25, "spectral": 0.25, "constants": 1.0, "growth": 1.0, "counts": 1.0}


def test_averaged_singular_vectors_fit_an_averaged_kernel_better_than_live_ones():
    """By the singular values of what the layer makes of a kernel that drifts at random: the largest should be 1."""
    width, decay = 32, jnp.float32(0.99)

    class Layer(nn.Module):
        @nn.compact
        def __call__(self, x, *, train):
            return spectral_norm(nn.Dense(width, use_bias=False, name="dense"), x, train=train)

    layer, eye = Layer(), jnp.eye(width)

    @jax.jit
    def drift(tree, average, key):
        params = jax.tree.map(lambda p: 0.999 * p + 0.02 * jax.random.normal(key, p.shape), tree["params"])
        live = {"params": params, "spectral": tree["spectral"]}
        _, updates = layer.apply(live, eye, train=True, mutable=["spectral"])
        live |= updates
        averaged = {"spectral": variables_update({"spectral": average["spectral"]}, updates, decay)["spectral"]}
        return live, {"params": ema_update(average["params"], params, decay), **averaged}

    def error(tree):
        return np.linalg.svd(layer.apply(tree, eye, train=False), compute_uv=False)[0] - 1

    live = average = layer.init(jax.random.key(0), eye, train=True)
    kept, copied = [], []
    for number in range(600):
        live, average = drift(live, average, jax.random.key(number))
        if number > 200 and number % 40 == 0:
            kept.append(error(average))
            copied.append(error({**average, "spectral": live["spectral"]}))
    assert 0 <= np.mean(kept) < 0.7 * np.mean(copied)

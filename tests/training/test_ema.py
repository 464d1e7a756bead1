"""The average of weights, by images."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.training.ema import ema_decay, ema_update


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

"""Holes filled in from around them."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.layers.filling import fill_holes


def test_what_is_known_stays_and_a_flat_image_is_whole_again():
    hole = jnp.zeros((2, 40, 56, 1)).at[:, 10:30, 5:50].set(1.0)
    flat = jnp.full((2, 40, 56, 3), 0.3)
    np.testing.assert_allclose(fill_holes(flat * (1 - hole), hole), flat, atol=1e-5)
    noise = jax.random.normal(jax.random.key(0), flat.shape)
    np.testing.assert_array_equal(jnp.where(hole == 1, 0, fill_holes(noise, hole)), jnp.where(hole == 1, 0, noise))


def test_a_ramp_is_continued_better_than_by_its_mean():
    ramp = jnp.broadcast_to(jnp.linspace(-1, 1, 64)[None, None, :, None], (1, 64, 64, 1))
    hole = jnp.zeros((1, 64, 64, 1)).at[:, 8:56, 20:44].set(1.0)
    error = jnp.abs(fill_holes(ramp * (1 - hole), hole) - ramp)[hole == 1].mean()
    assert error < 0.4 * jnp.abs(ramp)[hole == 1].mean()  # the mean is 0


def test_an_image_that_is_all_hole_is_nothing():
    np.testing.assert_array_equal(fill_holes(jnp.ones((1, 33, 20, 3)), jnp.ones((1, 33, 20, 1))), 0)

"""Mode seeking of generators whose ratio is known."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.regularizers.diversity import mode_seeking

KEY = jax.random.key(0)
LATENT = jax.random.normal(jax.random.key(1), (6, 4))


def pixels(latent):
    return latent.reshape(-1, 2, 2, 1)


def test_a_generator_that_shows_its_latent_has_ratio_one():
    np.testing.assert_allclose(mode_seeking(pixels, LATENT, pixels(LATENT), KEY, weight=3.0), 3.0, rtol=1e-4)


def test_twice_the_images_distance_halves_it_and_scales_are_averaged():
    scales = lambda latent: (3.0 * pixels(latent), pixels(latent))  # noqa: E731
    np.testing.assert_allclose(mode_seeking(scales, LATENT, scales(LATENT), KEY), 0.5, rtol=1e-4)


def test_a_collapsed_generator_pays_a_finite_price_and_is_pushed_apart():
    def loss(gain):
        return mode_seeking(lambda z: gain * pixels(z), LATENT, gain * pixels(LATENT), KEY)

    np.testing.assert_allclose(loss(jnp.float32(0.0)), 1e5, rtol=1e-3)
    value, gradient = jax.value_and_grad(loss)(jnp.float32(0.01))
    assert np.isfinite(value)
    assert gradient < 0

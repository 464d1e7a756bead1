"""Noise against its statistics."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxgan.augment.noise import gaussian_noise, normals, poisson_counts, poisson_noise

NEVER, ALWAYS = jnp.zeros(2, bool), jnp.ones(2, bool)
NUMBERS = normals(jax.random.key(0), (2, 64, 64, 3), NEVER)


def test_gaussian_noise_has_its_standard_deviation_in_grey_levels():
    noise = np.asarray(gaussian_noise(NUMBERS, jnp.array([25.0, 5.0]))) * 127.5
    np.testing.assert_allclose(noise.std((1, 2, 3)), [25.0, 5.0], rtol=0.02)
    np.testing.assert_allclose(noise.mean((1, 2, 3)), 0.0, atol=0.6)
    assert stats.kstest(noise[0].ravel() / 25.0, "norm").pvalue > 1e-3


def test_grey_numbers_are_the_same_in_all_channels_of_those_images():
    numbers = np.asarray(normals(jax.random.key(0), (2, 8, 8, 3), jnp.array([True, False])))
    assert (numbers[0] == numbers[0, ..., :1]).all()
    assert (numbers[1] != numbers[1, ..., :1])[..., 1:].all()


@pytest.mark.parametrize("mean", [0.0, 0.1, 1.0, 4.9, 5.1, 20.0, 250.0])
def test_counts_are_quantiles_of_poissons_distribution(mean):
    numbers = np.linspace(-4.5, 4.5, 2001, dtype=np.float32)
    counts = np.asarray(poisson_counts(jnp.asarray(numbers), jnp.full(2001, mean)))
    expected = stats.poisson.ppf(stats.norm.cdf(numbers.astype(np.float64)), mean) if mean else np.zeros(2001)
    assert (counts == expected).mean() > 0.96
    assert np.abs(counts - expected).max() <= 1
    assert (np.diff(counts) >= 0).all()


def test_poisson_noise_grows_with_the_root_of_the_light():
    image = jnp.stack([jnp.full((64, 64, 3), 0.0), jnp.full((64, 64, 3), -0.9)])
    noise = np.asarray(poisson_noise(NUMBERS, image, jnp.array([1.0, 2.0]), NEVER)) / 2
    np.testing.assert_allclose(noise.std((1, 2, 3)), np.array([1.0, 2.0]) * np.sqrt([0.5 / 256, 0.05 / 256]), rtol=0.03)
    np.testing.assert_allclose(noise.mean((1, 2, 3)), 0.0, atol=1e-3)
    assert (poisson_noise(NUMBERS, -jnp.ones_like(image), jnp.ones(2), NEVER) == 0).all()  # in the dark there is none


def test_grey_poisson_noise_is_the_luminances():
    image = jnp.broadcast_to(jnp.array([1.0, -1.0, -1.0]), (2, 64, 64, 3))  # red
    numbers = normals(jax.random.key(1), image.shape, ALWAYS)
    noise = np.asarray(poisson_noise(numbers, image, jnp.ones(2), ALWAYS)) / 2
    np.testing.assert_allclose(noise, np.broadcast_to(noise[..., :1], noise.shape), atol=1e-6)
    np.testing.assert_allclose(noise.std(), np.sqrt(0.299 / 256), rtol=0.03)

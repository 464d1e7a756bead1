"""Noise for images and for clips `[B,T,H,W,C]`: Gaussian noise, and the Poisson noise of photon counts."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxgan.images.colour import LUMA

Images = Float[Array, "b h w c"]

LEVELS = 256  # photons of a white pixel
FEW = 5.0  # counts are exact up to this mean
TERMS = 18  # the largest exact count; one in a million is larger


def normals(key: Array, shape: tuple[int, ...], grey: Bool[Array, " b"]) -> Images:
    """Standard normal numbers, the same in all channels for the images with `grey` noise."""
    numbers = jax.random.normal(key, shape)
    return jnp.where(_by_row(grey, numbers), numbers[..., :1], numbers)


def gaussian_noise(numbers: Images, strength: Float[Array, " b"]) -> Images:
    """Noise to add to images in [-1, 1], with a standard deviation of `strength` grey levels of 255."""
    return numbers * _by_row(strength / 127.5, numbers)


def poisson_noise(numbers: Images, image: Images, amount: Float[Array, " b"], grey: Bool[Array, " b"]) -> Images:
    """Noise to add to images in [-1, 1]: that of counting up to 256 photons, times `amount`.

    At brightness x in [0, 1] its standard deviation is amount * sqrt(x / 256), with white at 1 (Wang et al. 2021,
    "Real-ESRGAN", section 3.2). `numbers` are standard normal. Grey noise is computed from the luminance. No gradient
    flows through it.
    """
    light = jnp.clip((jax.lax.stop_gradient(image) + 1.0) / 2.0, 0.0, 1.0)
    if image.shape[-1] == 3:
        luminance = sum(share * light[..., index : index + 1] for index, share in enumerate(LUMA))
        light = jnp.where(_by_row(grey, light), luminance, light)
    mean = light * LEVELS
    return (2.0 / LEVELS) * _by_row(amount, mean) * (poisson_counts(numbers, mean) - mean)


def _by_row(values: Array, images: Array) -> Array:
    """One value for each image or clip, shaped to broadcast."""
    return values.reshape(-1, *(1,) * (images.ndim - 1))


def poisson_counts(numbers: Array, mean: Array) -> Array:
    """Poisson counts with this mean, as quantiles of standard normal numbers, without rejection sampling.

    Up to a mean of 5, probabilities are summed exactly; above, the expansion of Cornish and Fisher (1938) is used, up
    to the kurtosis.
    """
    below = jnp.minimum(jax.scipy.special.ndtr(numbers), 1.0 - 1e-6)  # at most what the sum may round to
    few = jnp.minimum(mean, FEW)
    probability = total = jnp.exp(-few)
    exact = jnp.zeros_like(below)
    for count in range(1, TERMS + 1):
        exact += below > total
        probability = probability * few / count
        total = total + probability
    root = jnp.sqrt(jnp.maximum(mean, FEW))
    square = jnp.square(numbers)
    expansion = mean + root * numbers + (square - 1.0) / 6.0 + numbers * (1.0 - square) / (72.0 * root)
    return jnp.where(mean <= FEW, exact, jnp.maximum(jnp.round(expansion), 0.0))

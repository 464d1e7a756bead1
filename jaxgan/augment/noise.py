"""Noise of photographs, and of clips `[B,T,H,W,C]`: Gaussian, and the Poisson noise of counted light."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxgan.images.jpeg import LUMA

Images = Float[Array, "b h w c"]

LEVELS = 256  # particles of light in white
FEW = 5.0  # of a mean up to it the counts are drawn exactly
TERMS = 18  # the largest of these counts; of more there is one in a million


def normals(key: Array, shape: tuple[int, ...], grey: Bool[Array, " b"]) -> Images:
    """Standard normal numbers; in the images that are to have grey noise the same in all channels."""
    numbers = jax.random.normal(key, shape)
    return jnp.where(_by_row(grey, numbers), numbers[..., :1], numbers)


def gaussian_noise(numbers: Images, strength: Float[Array, " b"]) -> Images:
    """What to add to images in [-1, 1] for a standard deviation of `strength` grey levels of 255."""
    return numbers * _by_row(strength / 127.5, numbers)


def poisson_noise(numbers: Images, image: Images, amount: Float[Array, " b"], grey: Bool[Array, " b"]) -> Images:
    """What to add to images in [-1, 1]: that of counting up to 256 particles of light, times `amount`.

    At brightness x of 0 to 1 its deviation is amount * sqrt(x / 256) of white (Wang et al. 2021, "Real-ESRGAN",
    section 3.2). `numbers` are standard normal ones. Grey noise is that of the luminance. Without derivative.
    """
    light = jnp.clip((jax.lax.stop_gradient(image) + 1.0) / 2.0, 0.0, 1.0)
    if image.shape[-1] == 3:
        luminance = sum(float(share) * light[..., index : index + 1] for index, share in enumerate(LUMA))
        light = jnp.where(_by_row(grey, light), luminance, light)
    mean = light * LEVELS
    return (2.0 / LEVELS) * _by_row(amount, mean) * (poisson_counts(numbers, mean) - mean)


def _by_row(values: Array, images: Array) -> Array:
    """One value an image, or a clip, so that they broadcast."""
    return values.reshape(-1, *(1,) * (images.ndim - 1))


def poisson_counts(numbers: Array, mean: Array) -> Array:
    """Counts with this mean as quantiles of standard normal numbers: nothing is drawn and rejected.

    Exact by summing probabilities up to a mean of 5; above, the expansion of Cornish and Fisher (1938) to the kurtosis.
    """
    below = jnp.minimum(jax.scipy.special.ndtr(numbers), 1.0 - 1e-6)  # not more than what the sum may round to
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

"""Estimation of the white noise of an image from the image itself."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan.layers.frames import Images

LAPLACIANS = 6.0  # standard deviation of the filtered image for white noise of deviation 1
MEDIAN = 0.6745  # of the absolute value of a standard normal variable


def noise_level(image: Images) -> Float[Array, "b *t 1 1 1"]:
    """The standard deviation of an image's white noise, from the difference of two Laplacians (Immerkaer 1996).

    Uses the median of its absolute value, which edges and textures hardly affect, unlike the mean. One value for each
    image or frame; 0 for images of fewer than 3 pixels along a side.
    """
    if min(image.shape[-3:-1]) < 3:
        return jnp.zeros((*image.shape[:-3], 1, 1, 1), image.dtype)
    across = image[..., :-2, :, :] - 2 * image[..., 1:-1, :, :] + image[..., 2:, :, :]
    both = across[..., :-2, :] - 2 * across[..., 1:-1, :] + across[..., 2:, :]
    return jnp.median(jnp.abs(both), axis=(-3, -2, -1), keepdims=True) / (LAPLACIANS * MEDIAN)

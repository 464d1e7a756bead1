"""Holes of images, filled in smoothly."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan.layers.padding import padded_to
from jaxgan.layers.resampling import box_downsample, upsample

ENOUGH = 64.0  # one over the share of a pixel that must be known for its mean to count in full
LEVELS = 5  # halvings; what is wider than 32 pixels has the mean of the image in its middle

Image = Float[Array, "b h w c"]
Hole = Float[Array, "b h w 1"]


def fill_holes(image: Image, hole: Hole) -> Image:
    """The image, and where `hole` is 1 what its surroundings say: pull and push (Gortler et al. 1996, section 4.3).

    Means of what is known go down a pyramid; on the way up each pixel of which too little is known takes from the level
    below. Known pixels stay as they are.
    """
    height, width = image.shape[1:3]
    known = 1.0 - hole
    pyramid = [padded_to(jnp.concatenate([image * known, known], axis=-1), 2**LEVELS)]
    for _ in range(LEVELS):
        pyramid.append(box_downsample(pyramid[-1]))
    sums = pyramid[-1].sum(axis=(1, 2), keepdims=True)
    filled = sums[..., :-1] / jnp.maximum(sums[..., -1:], 1e-6)
    for index, level in enumerate(reversed(pyramid)):
        below = filled if index == 0 else upsample(filled)
        share = level[..., -1:]
        trust = jnp.minimum(share * ENOUGH, 1.0)
        filled = trust * level[..., :-1] / jnp.maximum(share, 1e-6) + (1.0 - trust) * below
    return image * known + hole * filled[:, :height, :width]

"""Padding by reflection: what a network sees beyond the border of an image, and how it takes images of any size."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

Image = Float[Array, "b h w c"]
Padded = Float[Array, "b h2 w2 c"]


def reflect_pad(x: Image, width: int) -> Padded:
    """x with a border of so many pixels, mirrored at the outermost ones; a single pixel is repeated."""
    return jnp.pad(x, ((0, 0), (width, width), (width, width), (0, 0)), mode="reflect")


def padded_to(x: Image, multiple: int) -> Padded:
    """x with sides that are multiples, mirrored below and to the right: every pixel stays where it is."""
    below, beside = (-length % multiple for length in x.shape[1:3])
    if not (below or beside):
        return x
    return jnp.pad(x, ((0, 0), (0, below), (0, beside), (0, 0)), mode="reflect")

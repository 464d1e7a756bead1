"""Padding by reflection, for convolutions at the border of an image and for images of any size."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan.layers.frames import Images

Padded = Float[Array, "b *t h2 w2 c"]


def reflect_pad(x: Images, width: int) -> Padded:
    """x with a border of `width` pixels, mirrored at the outermost pixels; a single pixel is repeated."""
    return _reflected(x, (width, width), (width, width))


def padded_to(x: Images, multiple: int) -> Padded:
    """x reflect-padded at the bottom and right to sides divisible by `multiple`; pixels keep their positions."""
    below, beside = (-length % multiple for length in x.shape[-3:-1])
    if not (below or beside):
        return x
    return _reflected(x, (0, below), (0, beside))


def _reflected(x: Array, rows: tuple[int, int], columns: tuple[int, int]) -> Array:
    return jnp.pad(x, (*((0, 0),) * (x.ndim - 3), rows, columns, (0, 0)), mode="reflect")

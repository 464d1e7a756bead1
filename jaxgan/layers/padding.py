"""Padding by reflection: what a network sees beyond the border of an image, and how it takes images of any size."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan.layers.frames import Images

Padded = Float[Array, "b *t h2 w2 c"]


def reflect_pad(x: Images, width: int) -> Padded:
    """x with a border of so many pixels, mirrored at the outermost ones; a single pixel is repeated."""
    return _reflected(x, (width, width), (width, width))


def padded_to(x: Images, multiple: int) -> Padded:
    """x with sides that are multiples, mirrored below and to the right: every pixel stays where it is."""
    below, beside = (-length % multiple for length in x.shape[-3:-1])
    if not (below or beside):
        return x
    return _reflected(x, (0, below), (0, beside))


def _reflected(x: Array, rows: tuple[int, int], columns: tuple[int, int]) -> Array:
    return jnp.pad(x, (*((0, 0),) * (x.ndim - 3), rows, columns, (0, 0)), mode="reflect")

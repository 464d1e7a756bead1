"""Luminance, and affine maps of colours: one matrix and one offset per image.

The grey axis v is the direction of equal channels. Hue and saturation leave images with one channel unchanged, and only
images with three channels have a hue.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan.images.draws import Draw

Images = Float[Array, "b h w c"]
Matrices = Float[Array, "b c c"]

LUMA = (0.299, 0.587, 0.114)  # weights of red, green and blue (ITU-R BT.601)


def recolour(images: Images, matrices: Matrices, offsets: Float[Array, " b"]) -> Images:
    """`matrix @ (colour + offset)` at every pixel."""
    moved = images + offsets[:, None, None, None]
    if images.shape[-1] == 1:
        return moved * matrices[:, None]
    return jnp.einsum("bhwj,bij->bhwi", moved, matrices, precision="highest")


def brightness(draw: Draw, strength: float) -> Float[Array, " b"]:
    """The offset added to all channels."""
    return draw.gated(draw.normal[0] * strength, jnp.float32(0.0))


def _contrast(draw: Draw, strength: float, channels: int) -> Matrices:
    return jnp.exp2(draw.normal[0] * strength)[:, None, None] * jnp.eye(channels)


def _luma_flip(draw: Draw, strength: float, channels: int) -> Matrices:
    flips = (draw.uniform[0] < 0.5 * strength)[:, None, None]
    return jnp.eye(channels) - 2.0 * _grey(channels) * flips


def _hue(draw: Draw, strength: float, channels: int) -> Matrices:
    if channels != 3:
        return jnp.broadcast_to(jnp.eye(channels), (draw.active.shape[0], channels, channels))
    angle = ((2.0 * draw.uniform[0] - 1.0) * math.pi * strength)[:, None, None]
    cross = jnp.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / math.sqrt(3.0)
    grey = _grey(3)
    return grey + jnp.cos(angle) * (jnp.eye(3) - grey) + jnp.sin(angle) * cross  # Rodrigues' rotation about v


def _saturation(draw: Draw, strength: float, channels: int) -> Matrices:
    grey = _grey(channels)
    return grey + jnp.exp2(draw.normal[0] * strength)[:, None, None] * (jnp.eye(channels) - grey)


def _grey(channels: int) -> Float[Array, "c c"]:
    """The projection onto the grey axis, v v^T."""
    return jnp.full((channels, channels), 1.0 / channels)


# in the order in which they are applied, after brightness: (draw, strength, channels) -> matrices
TRANSFORMS: dict[str, Callable[[Draw, float, int], Matrices]] = {
    "contrast": _contrast,
    "lumaflip": _luma_flip,
    "hue": _hue,
    "saturation": _saturation,
}


def compose(draws: dict[str, Draw], strengths: dict[str, float], channels: int) -> Matrices | None:
    """The product, in order, of the matrices of all transforms in `draws`; None if there are none."""
    matrices = None
    for name, transform in TRANSFORMS.items():
        if name in draws:
            one = draws[name].gated(transform(draws[name], strengths[name], channels), jnp.eye(channels))
            matrices = one if matrices is None else jnp.matmul(one, matrices, precision="highest")
    return matrices

"""Geometric transforms: affine maps, one per image of a batch, and moves that need no interpolation.

Maps are 3 by 3 matrices on columns (x, y, 1), in pixels from the image's centre. They map an output pixel to the
position in the input from which it is read, so a later transform multiplies on the right. Beyond its border an image
is reflected about its outermost pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxgan.images.draws import Draw

Images = Float[Array, "b h w c"]
Maps = Float[Array, "b 3 3"]


def warp(images: Images, maps: Maps) -> Images:
    """Sample images through their maps, by cubic convolution (Keys 1981, a = -1/2) of the 4 by 4 nearest pixels.

    Maps between pixel centres (identity, flips, quarter turns, whole shifts) copy pixels bit for bit. The warp is
    linear in the images, and its derivative is a scatter, whose sums have no fixed order on GPU.
    """
    b, h, w, c = images.shape
    y, x = jnp.meshgrid(jnp.arange(h) - (h - 1) / 2, jnp.arange(w) - (w - 1) / 2, indexing="ij")
    centres = jnp.stack([x.ravel(), y.ravel(), jnp.ones(h * w)])
    places = jnp.einsum("bij,jp->bip", maps, centres, precision="highest")
    columns, rows = _taps(places[:, 0] + (w - 1) / 2, w), _taps(places[:, 1] + (h - 1) / 2, h)
    pixels = images.reshape(b, h * w, c)
    out = jnp.zeros_like(pixels)
    for row, row_weight in rows:
        for column, column_weight in columns:
            read = jnp.take_along_axis(pixels, (row * w + column)[..., None], axis=1, mode="promise_in_bounds")
            out += (row_weight * column_weight)[..., None] * read
    return out.reshape(images.shape)


def pick(images: Images, rows: Int[Array, "b h2"], columns: Int[Array, "b w2"]) -> Float[Array, "b h2 w2 c"]:
    """`images[i, rows[i], columns[i]]` for every image i; the indices must be in bounds."""
    batch = jnp.arange(images.shape[0])[:, None, None]
    return images.at[batch, rows[:, :, None], columns[:, None, :]].get(mode="promise_in_bounds")


def reflected(index: Int[Array, "*n"], size: int) -> Int[Array, "*n"]:
    """Map arbitrary indices into [0, size) by reflection about pixels 0 and size - 1."""
    period = max(2 * (size - 1), 1)
    index = index % period
    return jnp.minimum(index, period - index) if size > 1 else jnp.zeros_like(index)


def shifted_and_flipped(key: Array, images: Images, shift: int) -> Images:
    """Shift every image by up to `shift` whole pixels on each axis, and flip it left to right half of the time."""
    b, h, w, _ = images.shape
    shift_key, flip_key = jax.random.split(key)
    moves = jax.random.randint(shift_key, (2, b, 1), -shift, shift + 1)
    flips = jax.random.bernoulli(flip_key, shape=(b, 1))
    columns = jnp.arange(w)
    columns = jnp.where(flips, columns[::-1], columns)
    return pick(images, reflected(jnp.arange(h) + moves[0], h), reflected(columns + moves[1], w))


def _taps(place: Array, size: int) -> list[tuple[Array, Array]]:
    """Index and weight of each of the four pixels around a position."""
    first = jnp.floor(place)
    taps = []
    for offset in (-1, 0, 1, 2):
        d = jnp.abs(place - first - offset)
        near, far = (1.5 * d - 2.5) * d * d + 1.0, ((2.5 - 0.5 * d) * d - 4.0) * d + 2.0
        taps.append((reflected(first.astype(jnp.int32) + offset, size), jnp.where(d <= 1.0, near, far)))
    return taps


def _matrices(rows: tuple[tuple[Array | float, ...], ...], batch: int) -> Maps:
    flat = [jnp.broadcast_to(jnp.asarray(each, jnp.float32), (batch,)) for row in rows for each in row]
    return jnp.stack(flat, axis=-1).reshape(batch, 3, 3)


def _stretched(x: Array | float, y: Array | float, batch: int) -> Maps:
    return _matrices(((1.0 / x, 0.0, 0.0), (0.0, 1.0 / y, 0.0), (0.0, 0.0, 1.0)), batch)


def _moved(x: Array, y: Array) -> Maps:
    return _matrices(((1.0, 0.0, -x), (0.0, 1.0, -y), (0.0, 0.0, 1.0)), x.shape[0])


def _turned(cos: Array, sin: Array) -> Maps:
    return _matrices(((cos, sin, 0.0), (-sin, cos, 0.0), (0.0, 0.0, 1.0)), cos.shape[0])


def _flip(draw: Draw, strength: float, size: int) -> Maps:
    del size
    side = jnp.where(draw.uniform[0] < 0.5 * strength, -1.0, 1.0)
    return _stretched(side, 1.0, side.shape[0])


def _quarter_turns(draw: Draw, strength: float, size: int) -> Maps:
    del size
    # from a table, because the cosine of pi/2 is not exactly 0 in floating point
    turns = jnp.floor(4 * strength * draw.uniform[0]).astype(jnp.int32)
    return _turned(jnp.array([1.0, 0.0, -1.0, 0.0])[turns], jnp.array([0.0, 1.0, 0.0, -1.0])[turns])


def _whole_shift(draw: Draw, strength: float, size: int) -> Maps:
    x, y = jnp.round((2.0 * draw.uniform - 1.0) * strength * size)
    return _moved(x, y)


def _scale(draw: Draw, strength: float, size: int) -> Maps:
    del size
    factor = jnp.exp2(draw.normal[0] * strength)
    return _stretched(factor, factor, factor.shape[0])


def _rotation(draw: Draw, strength: float, size: int) -> Maps:
    del size
    angle = (2.0 * draw.uniform[0] - 1.0) * math.pi * strength
    return _turned(jnp.cos(angle), jnp.sin(angle))


def _aniso(draw: Draw, strength: float, size: int) -> Maps:
    del size
    factor = jnp.exp2(draw.normal[0] * strength)
    return _stretched(factor, 1.0 / factor, factor.shape[0])


def _fractional_shift(draw: Draw, strength: float, size: int) -> Maps:
    x, y = draw.normal[:2] * strength * size
    return _moved(x, y)


# in the order in which they are applied: (draw, strength, side in pixels) -> maps
TRANSFORMS: dict[str, Callable[[Draw, float, int], Maps]] = {
    "xflip": _flip,
    "rotate90": _quarter_turns,
    "xint": _whole_shift,
    "scale": _scale,
    "rotate": _rotation,
    "aniso": _aniso,
    "rotate_again": _rotation,
    "xfrac": _fractional_shift,
}


def compose(draws: dict[str, Draw], strengths: dict[str, float], size: int) -> Maps | None:
    """The product, in order, of the maps of all transforms in `draws`; None if there are none."""
    maps = None
    for name, transform in TRANSFORMS.items():
        if name in draws:
            unchanged = jnp.eye(3)
            one = draws[name].gated(transform(draws[name], strengths[name], size), unchanged)
            maps = one if maps is None else jnp.matmul(maps, one, precision="highest")
    return maps

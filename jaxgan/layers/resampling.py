"""Resampling by two with the filter [1, 3, 3, 1] on each axis, and blurring with it.

Written as sums of shifted slices: on CPU a depthwise convolution costs 100 times as much. The filter is symmetric,
so the derivative of blurring is blurring, that of doubling is halving and vice versa: every order of differentiation
uses the fast form. These three do not support forward-mode differentiation. Images are `[b,h,w,c]` or the frames of
clips `[b,t,h,w,c]`.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxgan.layers.frames import Images, by_frame

Resized = Float[Array, "b *t h2 w2 c"]


def blur(x: Images, padding: tuple[int, int], *, gain: float = 1.0) -> Resized:
    """x filtered at stride 1, padded with zeros by (before, after) on each axis: h -> h + before + after - 3.

    The filter sums to `gain` over both axes.
    """
    return by_frame(lambda x: _blur(x, padding, gain), x)


def upsample(x: Images) -> Resized:
    """`[b,2h,2w,c]`: zeros between the pixels, then the filter with gain 4 (Karras et al. 2020, appendix B)."""
    return by_frame(_upsample, x)


def downsample(x: Images) -> Resized:
    """`[b,h/2,w/2,c]`: the filter, then every second pixel; sides must be even."""
    return by_frame(_downsample, x)


@jax.custom_vjp
def _upsample(x: Array) -> Array:
    return _upsample_rows(_upsample_rows(x, 1), 2)


@jax.custom_vjp
def _downsample(x: Array) -> Array:
    return _downsample_rows(_downsample_rows(x, 1), 2)


@partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def _blur(x: Array, padding: tuple[int, int], gain: float) -> Array:
    (before, after), zero = padding, jnp.zeros((), x.dtype)
    x = lax.pad(x, zero, ((0, 0, 0), (before, after, 0), (before, after, 0), (0, 0, 0)))
    unit = gain**0.5 / 8
    height, width = x.shape[1] - 3, x.shape[2] - 3
    x = unit * (x[:, :height] + x[:, 3:]) + 3 * unit * (x[:, 1 : height + 1] + x[:, 2 : height + 2])
    return unit * (x[:, :, :width] + x[:, :, 3:]) + 3 * unit * (x[:, :, 1 : width + 1] + x[:, :, 2 : width + 2])


def _blur_backward(padding: tuple[int, int], gain: float, saved: None, y: Array) -> Any:
    del saved
    return (_blur(y, (3 - padding[0], 3 - padding[1]), gain),)


_blur.defvjp(lambda x, padding, gain: (_blur(x, padding, gain), None), _blur_backward)
_upsample.defvjp(lambda x: (_upsample(x), None), lambda _, y: (4 * _downsample(y),))
_downsample.defvjp(lambda x: (_downsample(x), None), lambda _, y: (0.25 * _upsample(y),))


def box_downsample(x: Images) -> Resized:
    """`[b,h/2,w/2,c]`: the mean of each 2x2 block of pixels; sides must be even."""
    *leading, h, w, c = x.shape
    return x.reshape(*leading, h // 2, 2, w // 2, 2, c).mean(axis=(-4, -2))


def box_upsample(x: Images) -> Resized:
    """`[b,2h,2w,c]`: each pixel repeated as a 2x2 block."""
    *leading, h, w, c = x.shape
    pairs = jnp.broadcast_to(x[..., :, None, :, None, :], (*leading, h, 2, w, 2, c))
    return pairs.reshape(*leading, 2 * h, 2 * w, c)


def bilinear_upsample(x: Images) -> Resized:
    """`[b,2h,2w,c]` by bilinear interpolation, with the border pixels repeated."""
    edged = jnp.pad(x, (*((0, 0),) * (x.ndim - 3), (1, 1), (1, 1), (0, 0)), mode="edge")
    return upsample(edged)[..., 2:-2, 2:-2, :]


def _upsample_rows(x: Array, axis: int) -> Array:
    """Only two taps of [1, 3, 3, 1] / 4 meet a nonzero value: (x[i-1] + 3 x[i]) / 4 and (3 x[i] + x[i+1]) / 4."""
    padded = jnp.pad(x, [(1, 1) if each == axis else (0, 0) for each in range(4)])
    length = x.shape[axis]
    before = lax.slice_in_dim(padded, 0, length, axis=axis)
    after = lax.slice_in_dim(padded, 2, length + 2, axis=axis)
    pairs = jnp.stack([0.25 * before + 0.75 * x, 0.75 * x + 0.25 * after], axis=axis + 1)
    return pairs.reshape(*x.shape[:axis], 2 * length, *x.shape[axis + 1 :])


def _downsample_rows(x: Array, axis: int) -> Array:
    half = x.shape[axis] // 2
    padded = jnp.pad(x, [(1, 1) if each == axis else (0, 0) for each in range(4)])
    # rows 2i-1, 2i, 2i+1, 2i+2 of x are the pairs i and i+1 of the padded rows
    pairs = padded.reshape(*x.shape[:axis], half + 1, 2, *x.shape[axis + 1 :])
    first, second = (lax.index_in_dim(pairs, each, axis=axis + 1, keepdims=False) for each in (0, 1))

    def at(rows: Array, start: int) -> Array:
        return lax.slice_in_dim(rows, start, start + half, axis=axis)

    return 0.125 * (at(first, 0) + at(second, 1)) + 0.375 * (at(second, 0) + at(first, 1))

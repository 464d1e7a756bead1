"""The transpose of a strided convolution, in a form that is fast on CPU: one plain convolution per phase of pixels.

A pixel of a doubled image meets only the kernel taps at an even distance from it. So the pixels of each of the four
phases are a plain convolution with every second tap in both directions (Shi et al. 2016, arXiv:1609.07009, describe
this for a whole kernel), and no products with zeros between pixels are computed.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

MANY = 16  # minimum channels of the image: with fewer, phases are slower
Padding = tuple[tuple[int, int], tuple[int, int]]


def pays(kernel: tuple[int, ...], stride: tuple[int, int], images: int) -> bool:
    """Whether this form is faster for an image of `images` channels, without groups."""
    return stride[0] == stride[1] > 1 and min(kernel) > stride[0] and images >= MANY


def phased_conv_transpose(y: Array, w: Array, stride: int, padding: Padding, size: tuple[int, int]) -> Array:
    """x `[b,h,w,i]` of size (h, w) from y `[b,h',w',o]` and w `[kh,kw,i,o]`."""
    w, (height, width) = w.transpose(0, 1, 3, 2), (-(-length // stride) for length in size)
    down = [_phase(phase, w.shape[0], stride, padding[0][0], y.shape[1], height) for phase in range(stride)]
    across = [_phase(phase, w.shape[1], stride, padding[1][0], y.shape[2], width) for phase in range(stride)]

    def convolved(rows: tuple[slice, tuple[int, int]], columns: tuple[slice, tuple[int, int]]) -> Array:
        taps, pads = w[rows[0], columns[0]], (rows[1], columns[1])
        return lax.conv_general_dilated(y, taps, (1, 1), pads, dimension_numbers=("NHWC", "HWIO", "NHWC"))

    phases = jnp.stack([jnp.stack([convolved(a, b) for b in across], axis=3) for a in down], axis=2)
    whole = phases.reshape(y.shape[0], stride * height, stride * width, w.shape[3])
    return whole[:, : size[0], : size[1]]


def _phase(phase: int, taps: int, stride: int, before: int, length: int, wanted: int) -> tuple[slice, tuple[int, int]]:
    """The taps that the pixels of a phase meet, in order of use, and the padding that yields `wanted` pixels."""
    last = max(tap for tap in range(taps) if (phase + before - tap) % stride == 0)
    count = last // stride + 1
    first = (phase + before - last) // stride  # position that the last tap multiplies for the first pixel
    return slice(last, None, -stride), (-first, first + count + wanted - 1 - length)

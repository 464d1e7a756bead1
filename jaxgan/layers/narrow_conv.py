"""Convolutions to few channels, such as a network's last one to RGB, in a form that is fast on CPU.

A convolution to three channels leaves most lanes of a vector unit empty. Here the rows of the kernel become channels:
a kernel with a single row and the same number of columns computes `kh o` channels, and the result is the sum of its
`kh` groups, each shifted by the position of its row. That is 2 times as fast for 3x3 to three channels and 5 times for
9x9.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

FEW = 4  # maximum output channels
MANY = 16  # minimum input channels
LEAST = 6  # minimum channels computed instead (kernel rows times outputs): fewer bring no gain

Padding = tuple[tuple[int, int], tuple[int, int]]


def pays(kernel: tuple[int, ...], inputs: int, outputs: int) -> bool:
    """Whether this form is faster for a kernel of shape (rows, columns), at stride 1 and without groups."""
    return outputs <= FEW and inputs >= MANY and outputs * kernel[0] >= LEAST


def narrow_conv(x: Array, w: Array, padding: Padding) -> Array:
    """y `[b,h',w',o]` of x `[b,h,w,i]` and w `[kh,kw,i,o]`, stride 1."""
    kh, kw, inputs, outputs = w.shape
    x = jnp.pad(x, ((0, 0), padding[0], (0, 0), (0, 0)))
    rows = w.transpose(1, 2, 0, 3).reshape(1, kw, inputs, kh * outputs)
    beside = ((0, 0), padding[1])
    wide = lax.conv_general_dilated(x, rows, (1, 1), beside, dimension_numbers=("NHWC", "HWIO", "NHWC"))
    height = x.shape[1] - kh + 1
    moved = [wide[:, k : k + height, :, k * outputs : (k + 1) * outputs] for k in range(kh)]
    return sum(moved[1:], moved[0])


def narrow_conv_transpose(y: Array, w: Array, padding: Padding) -> Array:
    """x `[b,h,w,i]` of y `[b,h',w',o]`, with few i: the convolution of y with the mirrored kernel."""
    (above, below), (left, right) = padding
    rows, columns = w.shape[0] - 1, w.shape[1] - 1
    pads = ((rows - above, rows - below), (columns - left, columns - right))
    return narrow_conv(y, w[::-1, ::-1].transpose(0, 1, 3, 2), pads)


def narrow_conv_weights(x: Array, y: Array, kernel: tuple[int, int], padding: Padding) -> Array:
    """w `[kh,kw,i,o]` of x and y."""
    shape = jax.ShapeDtypeStruct((*kernel, x.shape[-1], y.shape[-1]), x.dtype)
    return jax.linear_transpose(lambda w: narrow_conv(x, w, padding), shape)(y)[0]

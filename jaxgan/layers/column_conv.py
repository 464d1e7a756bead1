"""Convolutions with a kernel of one column, such as those along time, as one matrix product, which is fast on CPU.

The rows under the kernel are concatenated as channels. Forward and backward, this is 2 to 5 times as fast as the
three-dimensional convolution that XLA would use.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array

Padding = tuple[tuple[int, int], tuple[int, int]]


def pays(kernel: tuple[int, ...], padding: Padding) -> bool:
    """Whether this form applies to a kernel of shape (rows, columns), at stride 1 and without groups."""
    return max(padding[0]) < kernel[0] > 1 == kernel[1] and padding[1] == (0, 0)


def column_conv(x: Array, w: Array, padding: Padding) -> Array:
    """y `[b,h',w,o]` of x `[b,h,w,i]` and w `[k,1,i,o]`, stride 1."""
    rows = _side_by_side(x, w.shape[0], padding)
    return (rows.reshape(-1, rows.shape[-1]) @ w.reshape(-1, w.shape[-1])).reshape(*rows.shape[:-1], -1)


def column_conv_transpose(y: Array, w: Array, padding: Padding) -> Array:
    """x `[b,h,w,i]` of y `[b,h',w,o]`: the convolution of y with the mirrored kernel."""
    before, after = (w.shape[0] - 1 - width for width in padding[0])
    return column_conv(y, w[::-1].swapaxes(2, 3), ((before, after), (0, 0)))


def column_conv_weights(x: Array, y: Array, kernel: tuple[int, int], padding: Padding) -> Array:
    """w `[k,1,i,o]` of x and y."""
    rows = _side_by_side(x, kernel[0], padding)
    products = rows.reshape(-1, rows.shape[-1]).T @ y.reshape(-1, y.shape[-1])
    return products.reshape(*kernel, x.shape[-1], y.shape[-1])


def _side_by_side(x: Array, size: int, padding: Padding) -> Array:
    """`[b,h',w,k i]`: the rows of x under the kernel at each position."""
    x = jnp.pad(x, ((0, 0), padding[0], (0, 0), (0, 0)))
    length = x.shape[1] - size + 1
    return jnp.concatenate([x[:, row : row + length] for row in range(size)], axis=-1)

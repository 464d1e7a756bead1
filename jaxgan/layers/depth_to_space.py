"""Rearranging channels into pixels: the sub-pixel layer of super-resolution (Shi et al. 2016, eq. 4)."""

from __future__ import annotations

from jaxtyping import Array, Float


def depth_to_space(x: Float[Array, "b *t h w i"], factor: int) -> Float[Array, "b *t h2 w2 c"]:
    """`[b,h,w,f f c] -> [b,f h,f w,c]`: each pixel's channels become f by f pixels; clips frame by frame.

    y[f h + i, f w + j, c] = x[h, w, f f c + f i + j], the order of PyTorch's PixelShuffle, so that the kernel of a
    layer before it needs no reordering. TensorFlow's order has c last: x[h, w, (f i + j) C + c].
    """
    *leading, h, w, channels = x.shape
    blocks = x.reshape(-1, h, w, channels // factor**2, factor, factor)
    return blocks.transpose(0, 1, 4, 2, 5, 3).reshape(*leading, factor * h, factor * w, -1)


def space_to_depth(x: Float[Array, "b *t h2 w2 c"], factor: int) -> Float[Array, "b *t h w i"]:
    """The inverse of `depth_to_space`: `[b,f h,f w,c] -> [b,h,w,f f c]`. The factor must divide the sides."""
    *leading, height, width, channels = x.shape
    h, w = height // factor, width // factor
    blocks = x.reshape(-1, h, factor, w, factor, channels).transpose(0, 1, 3, 5, 2, 4)
    return blocks.reshape(*leading, h, w, -1)

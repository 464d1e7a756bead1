"""Pixels out of channels: the sub-pixel layer of super-resolution (Shi et al. 2016, eq. 4)."""

from __future__ import annotations

from jaxtyping import Array, Float


def depth_to_space(x: Float[Array, "b h w i"], factor: int) -> Float[Array, "b h2 w2 c"]:
    """`[b,h,w,f f c] -> [b,f h,f w,c]`: each pixel's channels become f by f pixels.

    y[f h + i, f w + j, c] = x[h, w, f f c + f i + j], the order of PyTorch's PixelShuffle, so that a kernel before it
    fits as it is. TensorFlow's order has c last: x[h, w, (f i + j) C + c].
    """
    b, h, w, channels = x.shape
    blocks = x.reshape(b, h, w, channels // factor**2, factor, factor)
    return blocks.transpose(0, 1, 4, 2, 5, 3).reshape(b, factor * h, factor * w, -1)

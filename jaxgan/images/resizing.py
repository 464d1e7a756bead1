"""Resizing to any size as two matrix products, one for the columns and one for the rows.

XLA requires static shapes. If the whole batch has one size, the size is static and the matrices are built once, in
NumPy. If every image has its own size, the images are placed on a canvas of the largest size (`Patches`) and the
matrices are built from traced numbers: any size is possible, with one compilation and no branch. This costs rows times
columns numbers per image, which is little compared with the products.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

Images = Float[Array, "b h w c"]
Method = Literal["nearest", "area", "bilinear", "bicubic"]


class Patches(NamedTuple):
    """Images of different sizes, each at the top left of its canvas and padded with its outermost pixels."""

    canvas: Images
    height: Int[Array, " b"]
    width: Int[Array, " b"]


def resize(
    image: Images, height: int, width: int, *, method: Method = "bicubic", antialias: bool = True, clip: bool = False
) -> Float[Array, "b h2 w2 c"]:
    """Resize images; with `clip` they are clipped to [-1, 1] after each axis, as Pillow does with 8 bits per channel.

    With `antialias` the result is that of Pillow: the filter is stretched by the downscaling factor, cubic means Keys
    (1981) with a = -1/2, and taps beyond the border are dropped and the remaining ones renormalised. Without it, the
    result is that of OpenCV and PyTorch: two or four taps at any size, a = -3/4, and taps beyond the border read the
    border pixel. `area` is the mean of the input covered by an output pixel, as OpenCV downscales (PyTorch's `area`
    counts partly covered pixels in full); `nearest` copies. Neither uses a filter. The axis that shrinks more is
    resized first, as in Pillow 13; on a tie, the columns.
    """
    size, sizes = image.shape[1:3], (height, width)
    letters = ("ij,bjwc->biwc", "ij,bhjc->bhic")
    for axis in sorted((1, 0), key=lambda axis: sizes[axis] / size[axis]):
        matrix = jnp.asarray(_matrix(sizes[axis], size[axis], method, antialias))
        image = jnp.einsum(letters[axis], matrix, image, precision="highest")
        if clip:
            image = jnp.clip(image, -1.0, 1.0)
    return image


def resize_each(
    patches: Patches,
    height: Int[Array, " b"],
    width: Int[Array, " b"],
    *,
    canvas: tuple[int, int],
    methods: tuple[Method, ...],
    choice: Int[Array, " b"],
    antialias: bool = False,
) -> Patches:
    """Resize every image to its own size, by its own method; `choice` indexes `methods`.

    The new sizes must be at least 1 and fit into the new `canvas` (rows, columns).
    """
    matrices = []
    for axis, new, old in ((0, height, patches.height), (1, width, patches.width)):
        shape = (canvas[axis], patches.canvas.shape[1 + axis])
        sizes = (new[:, None, None], old[:, None, None])
        each = [weights(*shape, *sizes, method=method, antialias=antialias, xp=jnp) for method in methods]
        matrices.append(jnp.select([(choice == index)[:, None, None] for index in range(len(methods))], each))
    out = jnp.einsum("bij,bhjc->bhic", matrices[1], patches.canvas, precision="highest")
    return Patches(jnp.einsum("bij,bjwc->biwc", matrices[0], out, precision="highest"), height, width)


def weights(
    rows: int, columns: int, size_out: Any, size_in: Any, *, method: Method, antialias: bool, xp: Any = np
) -> Any:
    """`[..., rows, columns]`: the weight of input pixel j in output pixel i, for resizing `size_in` to `size_out`.

    Rows from `size_out` on repeat the last valid row; columns from `size_in` on are 0. The sizes are numbers or, if
    `xp` is jax.numpy, arrays `[..., 1, 1]`.
    """
    i, j = xp.minimum(xp.arange(rows)[:, None], size_out - 1), xp.arange(columns)
    ratio = size_in / size_out
    centre = (i + 0.5) * ratio  # of the output pixel, in input pixels from the input's border
    distance = j + 0.5 - centre
    stretch = xp.maximum(ratio, 1.0) if antialias else 1.0
    if method == "nearest":
        share = xp.where(j == xp.minimum(xp.floor(centre), size_in - 1), 1.0, 0.0)
    elif method == "area":
        share = xp.minimum(j + 1.0, centre + ratio / 2) - xp.maximum(j + 0.0, centre - ratio / 2)
    elif method == "bilinear":
        share = 1.0 - abs(distance / stretch)
    else:
        a = -0.5 if antialias else -0.75
        share = _cubic(abs(distance / stretch), a, xp)
        if not antialias:  # the border pixel gets the weights of the taps outside, at most two on each side
            for beyond in (0.5, 1.5):
                share += xp.where(j == 0, _cubic(centre + beyond, a, xp), 0.0)
                share += xp.where(j == size_in - 1, _cubic(size_in + beyond - centre, a, xp), 0.0)
    if method != "bicubic":
        share = xp.maximum(share, 0.0)
    share = xp.where(j < size_in, share, 0.0)
    return share / share.sum(axis=-1, keepdims=True)


def _cubic(d: Any, a: float, xp: Any) -> Any:
    """Cubic convolution at distances d >= 0 (Keys 1981)."""
    near, far = ((a + 2) * d - (a + 3)) * d * d + 1, ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return xp.where(d <= 1.0, near, xp.where(d < 2.0, far, 0.0))


@lru_cache(maxsize=64)
def _matrix(new: int, old: int, method: Method, antialias: bool) -> np.ndarray:
    return weights(new, old, new, old, method=method, antialias=antialias).astype(np.float32)

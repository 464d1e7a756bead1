"""Backward warping of images by optical flow, and estimation of the flow between two images without training."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxgan.layers.resampling import box_downsample, box_upsample

Images = Float[Array, "b h w c"]
Flow = Float[Array, "b h w 2"]  # pixels: to the right, down

SMALLEST = 8  # minimum shorter side of the coarsest images, in pixels
DEVIATION = 2.0  # in pixels, of the Gaussian window in which motion is assumed to be constant
FLAT = 1e-3  # added to the squared slopes: flatter regions keep the motion of the coarser image


def warp(image: Images, flow: Flow) -> Images:
    """y[p] = image[p + flow[p]], sampled bilinearly; beyond the border, the nearest border pixel is used.

    Gathers rows of one flat array: for images of few channels, its derivative is the fastest of the options on CPU.
    """
    batch, height, width, _ = image.shape
    row = jnp.clip(jnp.arange(height)[:, None] + flow[..., 1], 0, height - 1)
    column = jnp.clip(jnp.arange(width) + flow[..., 0], 0, width - 1)
    above, left = (jnp.floor(jax.lax.stop_gradient(each)).astype(jnp.int32) for each in (row, column))
    below, right = jnp.minimum(above + 1, height - 1), jnp.minimum(left + 1, width - 1)
    down, across = (row - above)[..., None], (column - left)[..., None]
    flat, first = image.reshape(-1, image.shape[-1]), (jnp.arange(batch) * (height * width))[:, None, None]

    def at(row: Int[Array, "b h w"], column: Int[Array, "b h w"]) -> Images:
        return jnp.take(flat, first + row * width + column, axis=0)

    upper = at(above, left) * (1 - across) + at(above, right) * across
    lower = at(below, left) * (1 - across) + at(below, right) * across
    return upper * (1 - down) + lower * down


def find_flow(image: Float[Array, "b h w 1"], other: Float[Array, "b h w 1"], *, rounds: int = 3) -> Flow:
    """The flow for which `warp(other, flow)` best matches the image: coarse-to-fine Lucas and Kanade 1981.

    Images are halved while their sides are even and not too small. In each of `rounds` rounds per level, every pixel
    moves by at most one along each axis. No gradient flows to the images.
    """
    image, other = jax.lax.stop_gradient((image, other))
    pairs = [(image, other)]
    while all(side % 2 == 0 and side // 2 >= SMALLEST for side in image.shape[1:3]):
        image, other = box_downsample(image), box_downsample(other)
        pairs.append((image, other))
    flow = jnp.zeros((*image.shape[:3], 2), image.dtype)
    for level, (image, other) in enumerate(reversed(pairs)):
        flow = 2 * _smooth(box_upsample(flow)) if level else flow
        slopes = jnp.concatenate([_slope(image, 2), _slope(image, 1)], axis=-1)
        across, down, both = (
            _smooth(each) for each in (*jnp.split(slopes**2, 2, -1), slopes[..., :1] * slopes[..., 1:])
        )
        across, down = across + FLAT, down + FLAT
        for _ in range(rounds):
            change = -_smooth(slopes * (warp(other, flow) - image))
            x, y = change[..., :1], change[..., 1:]
            step = jnp.concatenate([down * x - both * y, across * y - both * x], axis=-1) / (across * down - both**2)
            flow = flow + jnp.clip(step, -1, 1)
    return flow


def _slope(image: Images, axis: int) -> Images:
    padded = jnp.pad(image, [(0, 0), *((int(each == axis),) * 2 for each in (1, 2)), (0, 0)], mode="edge")
    size = image.shape[axis]
    return (jax.lax.slice_in_dim(padded, 2, size + 2, axis=axis) - jax.lax.slice_in_dim(padded, 0, size, axis=axis)) / 2


def _smooth(maps: Images) -> Images:
    """The Gaussian-weighted mean around each pixel; only pixels inside the border count."""
    rows, columns = (jnp.asarray(_window(side), maps.dtype) for side in maps.shape[1:3])
    return jnp.einsum("ij,bjwc->biwc", rows, jnp.einsum("ij,bhjc->bhic", columns, maps))


@functools.lru_cache(maxsize=16)
def _window(side: int) -> np.ndarray:
    place = np.arange(side)
    weight = np.exp(-0.5 * np.square((place[:, None] - place) / DEVIATION))
    return weight / weight.sum(axis=1, keepdims=True)

"""Optical flow without a network: coarse-to-fine Lucas-Kanade (Lucas and Kanade 1981; Bouguet 2001)."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan.layers.padding import padded_to
from jaxgan.layers.resampling import bilinear_upsample, box_downsample
from jaxgan.layers.warping import warp

LEVELS, ITERATIONS, RADIUS = 4, 3, 3  # pyramid levels, iterations per level, window radius in pixels
STILL = 1e-3  # added to sums of squared slopes: windows with smaller sums keep the flow of the coarser level
FASTEST = 1.0  # maximum motion per iteration, in pixels of the level

Image = Float[Array, "b h w c"]
Known = Float[Array, "b h w 1"]


def optical_flow(image: Image, known: Known, other: Image, other_known: Known) -> Float[Array, "b h w 2"]:
    """The flow for which `warp(other, flow)` approximates the image: (right, down) in pixels, up to about 30.

    Only pixels that are `known` in both images (1, else 0, or a share) are compared. A 7x7 window without
    such pixels takes the surrounding flow, which coarser levels find from farther away. Not meant to be differentiated.
    """
    height, width = image.shape[1:3]
    pyramid = [tuple(padded_to(x, 2 ** (LEVELS - 1)) for x in (image * known, known, other * other_known, other_known))]
    for _ in range(LEVELS - 1):
        pyramid.append(tuple(map(box_downsample, pyramid[-1])))
    flow = jnp.zeros((*pyramid[-1][0].shape[:3], 2), jnp.float32)
    for index, (first, share, second, second_share) in enumerate(reversed(pyramid)):
        flow = 2.0 * bilinear_upsample(flow) if index else flow
        means = [x / jnp.maximum(each, 0.25) for x, each in ((first, share), (second, second_share))]
        better = partial(_better, means[0], share, means[1], second_share)
        flow = jax.lax.fori_loop(0, ITERATIONS, lambda _, flow, better=better: better(flow), flow)
    return flow[:, :height, :width]


def _better(image: Image, known: Known, other: Image, other_known: Known, flow: Array) -> Array:
    """The flow after one least-squares step over the window around each pixel, then smoothed.

    Smoothing is the mean over the window, where each pixel is weighted by how much of its own window is known.
    """
    moved = warp(jnp.concatenate([other, other_known], axis=-1), flow)
    moved, weight = moved[..., :-1], _all_around(known) * _all_around(moved[..., -1:])
    edged = jnp.pad(moved, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    down, right = (edged[:, 2:, 1:-1] - edged[:, :-2, 1:-1]) / 2, (edged[:, 1:-1, 2:] - edged[:, 1:-1, :-2]) / 2
    off = image - moved
    products = (down * down, down * right, right * right, down * off, right * off)
    sums = [(weight * each).sum(axis=-1) for each in products]
    yy, xy, xx, yo, xo, counted = jnp.moveaxis(_summed(jnp.stack([*sums, weight[..., 0]], axis=-1)), -1, 0)
    yy, xx = yy + STILL, xx + STILL
    area = jnp.maximum(yy * xx - xy * xy, STILL**2)
    found = jnp.stack([(yy * xo - xy * yo) / area, (xx * yo - xy * xo) / area], axis=-1)
    trust = (counted[..., None] + 1e-3) ** 2
    mean = _summed(jnp.concatenate([trust * (flow + jnp.clip(found, -FASTEST, FASTEST)), trust], axis=-1))
    return mean[..., :-1] / mean[..., -1:]


def _all_around(known: Known) -> Known:
    """`known` times that of the four neighbours from which the slopes are computed."""
    edged = jnp.pad(known, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    return known * edged[:, 2:, 1:-1] * edged[:, :-2, 1:-1] * edged[:, 1:-1, 2:] * edged[:, 1:-1, :-2]


def _summed(x: Image) -> Image:
    """The sum over the window around each pixel, limited to the image."""
    side, add = 2 * RADIUS + 1, partial(jax.lax.reduce_window, init_value=0.0, computation=jax.lax.add)
    across = add(x, window_dimensions=(1, 1, side, 1), window_strides=(1,) * 4, padding="SAME")
    return add(across, window_dimensions=(1, side, 1, 1), window_strides=(1,) * 4, padding="SAME")

"""Smooth filling of holes in images."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan.layers.frames import Images, by_frame
from jaxgan.layers.padding import padded_to
from jaxgan.layers.resampling import box_downsample, upsample

ENOUGH = 64.0  # the mean of a coarse pixel counts in full if at least 1/ENOUGH of the pixel is known
LEVELS = 5  # halvings; holes wider than 32 pixels get the mean of the image in their middle
FILM_STEPS, PLATE_STEPS = 20, 60  # of conjugate gradients: holes of about 16 pixels change little after these
TENSION = 0.25  # 0: a bent plate, which can overshoot; 1: a soap film, which matches values at its edges but not slopes

Image = Float[Array, "b h w c"]
Hole = Float[Array, "b h w 1"]
Holes = Float[Array, "b *t h w 1"]


def fill_holes(image: Images, hole: Holes) -> Images:
    """The image with its holes (`hole` is 1) filled by a plate under tension T that continues the surroundings.

    It solves (1 - T) L L x = T L x, with L the Laplacian (Smith and Wessel 1990, equation 8): a compromise between the
    soap film of Laplace's equation, which is the starting point, and the plate of the biharmonic equation. It is level
    at the borders of the image. Known pixels do not change. Each frame of a clip is filled independently.
    """
    return by_frame(_filled, jax.lax.stop_gradient(image.astype(jnp.float32)), hole)


def fill_roughly(image: Images, hole: Holes) -> Images:
    """The image with its holes (`hole` is 1) filled by means of the surroundings, from a pyramid.

    `fill_holes` starts from this. Each frame of a clip is filled independently.
    """
    return by_frame(_pulled_and_pushed, jax.lax.stop_gradient(image.astype(jnp.float32)), hole)


def _filled(image: Image, hole: Hole) -> Image:
    def bending(x: Image) -> Image:
        excess = _excess(x)
        return (1.0 - TENSION) * _excess(excess) + TENSION * excess

    film = _solved(_excess, _pulled_and_pushed(image, hole), hole, FILM_STEPS)
    return _solved(bending, film, hole, PLATE_STEPS)


def _pulled_and_pushed(image: Image, hole: Hole) -> Image:
    """Holes filled from coarser and coarser means (Gortler et al. 1996, section 4.3): the start of the soap film.

    A pyramid of means of the known pixels is built from fine to coarse. On the way back, each pixel of which too
    little is known takes its value from the next coarser level.
    """
    height, width = image.shape[1:3]
    known = 1.0 - hole
    pyramid = [padded_to(jnp.concatenate([image * known, known], axis=-1), 2**LEVELS)]
    for _ in range(LEVELS):
        pyramid.append(box_downsample(pyramid[-1]))
    sums = pyramid[-1].sum(axis=(1, 2), keepdims=True)
    filled = sums[..., :-1] / jnp.maximum(sums[..., -1:], 1e-6)
    for index, level in enumerate(reversed(pyramid)):
        below = filled if index == 0 else upsample(filled)
        share = level[..., -1:]
        trust = jnp.minimum(share * ENOUGH, 1.0)
        filled = trust * level[..., :-1] / jnp.maximum(share, 1e-6) + (1.0 - trust) * below
    return image * known + hole * filled[:, :height, :width]


def _excess(x: Image) -> Image:
    """Four times each pixel minus its four neighbours: -L x, with the pixels at the image borders repeated."""
    y = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    return 4.0 * x - (y[:, 2:, 1:-1] + y[:, :-2, 1:-1] + y[:, 1:-1, 2:] + y[:, 1:-1, :-2])


def _solved(operator: Callable[[Image], Image], image: Image, hole: Hole, steps: int) -> Image:
    """The image after `steps` conjugate gradient steps towards operator(x) = 0 in the holes; known pixels are fixed.

    `operator` is linear, symmetric and positive.
    """

    def dot(x: Image, y: Image) -> Array:
        return jnp.einsum("bhwc,bhwc->b", x, y)[:, None, None, None]

    def step(_: Array, state: tuple[Image, Image, Image, Array]) -> tuple[Image, Image, Image, Array]:
        x, residual, direction, before = state
        bent = hole * operator(direction)
        length = before / jnp.maximum(dot(direction, bent), 1e-12)
        residual = residual - length * bent
        now = dot(residual, residual)
        return x + length * direction, residual, residual + now / jnp.maximum(before, 1e-12) * direction, now

    residual = -hole * operator(image)
    return jax.lax.fori_loop(0, steps, step, (image, residual, residual, dot(residual, residual)))[0]

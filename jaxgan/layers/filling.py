"""Smooth filling of holes in images."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan.layers.frames import Images, by_frame
from jaxgan.layers.padding import padded_to
from jaxgan.layers.resampling import box_downsample, upsample

ENOUGH = 64.0  # one over the share of a pixel that must be known for its mean to count in full
LEVELS = 5  # halvings; what is wider than 32 pixels has the mean of the image in its middle
FILM_STEPS, PLATE_STEPS = 20, 60  # of conjugate gradients: holes of some 16 pixels change little after these
TENSION = 0.25  # 0: a bent plate, which runs out beyond its edges; 1: a soap film, which has edges but no slopes there

Image = Float[Array, "b h w c"]
Hole = Float[Array, "b h w 1"]
Holes = Float[Array, "b *t h w 1"]


def fill_holes(image: Images, hole: Holes) -> Images:
    """The image, and where `hole` is 1 a plate in tension T that goes on from what is around it.

    It solves (1 - T) L L x = T L x, with L the Laplacian (Smith and Wessel 1990, equation 8): between the soap film of
    Laplace's equation, from which it is reached, and the plate of the biharmonic one. At the borders of the image it
    is level. Known pixels stay as they are. Of clips each frame is filled by itself.
    """
    return by_frame(_filled, jax.lax.stop_gradient(image.astype(jnp.float32)), hole)


def fill_roughly(image: Images, hole: Holes) -> Images:
    """The image, and where `hole` is 1 means of what is around, from a pyramid: what `fill_holes` begins with.

    Of clips each frame is filled by itself.
    """
    return by_frame(_pulled_and_pushed, jax.lax.stop_gradient(image.astype(jnp.float32)), hole)


def _filled(image: Image, hole: Hole) -> Image:
    def bending(x: Image) -> Image:
        excess = _excess(x)
        return (1.0 - TENSION) * _excess(excess) + TENSION * excess

    film = _solved(_excess, _pulled_and_pushed(image, hole), hole, FILM_STEPS)
    return _solved(bending, film, hole, PLATE_STEPS)


def _pulled_and_pushed(image: Image, hole: Hole) -> Image:
    """Holes filled from coarser and coarser means (Gortler et al. 1996, section 4.3): what becomes the film.

    Means of what is known go down a pyramid; on the way up each pixel of which too little is known takes from the level
    below.
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
    """Of four times each pixel over its neighbours: -L x, with the pixels at the image's borders repeated."""
    y = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    return 4.0 * x - (y[:, 2:, 1:-1] + y[:, :-2, 1:-1] + y[:, 1:-1, 2:] + y[:, 1:-1, :-2])


def _solved(operator: Callable[[Image], Image], image: Image, hole: Hole, steps: int) -> Image:
    """The image after so many steps of conjugate gradients towards operator(x) = 0 in the holes, all else held.

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

"""Holes of images, filled in smoothly."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan.layers.padding import padded_to
from jaxgan.layers.resampling import box_downsample, upsample

ENOUGH = 64.0  # one over the share of a pixel that must be known for its mean to count in full
LEVELS = 5  # halvings; what is wider than 32 pixels has the mean of the image in its middle
STEPS = 40  # of conjugate gradients: in holes of some 16 pixels nothing visible changes after these

Image = Float[Array, "b h w c"]
Hole = Float[Array, "b h w 1"]


def fill_holes(image: Image, hole: Hole) -> Image:
    """The image, and where `hole` is 1 the solution of Laplace's equation with what is around it as its border.

    The soap film of Bertalmio et al. 2000, section 2: no value in a hole is beyond those at its edge. At the borders of
    the image the film is level. Known pixels stay as they are.
    """
    return _flattened(_pulled_and_pushed(image, hole), hole)


def _pulled_and_pushed(image: Image, hole: Hole) -> Image:
    """Holes filled from coarser and coarser means: where the film starts from (Gortler et al. 1996, section 4.3).

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


def _flattened(image: Image, hole: Hole) -> Image:
    """The image after so many steps of conjugate gradients towards no Laplacian in the holes."""

    def excess(x: Image) -> Image:  # of a pixel over its neighbours
        y = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
        neighbours = y[:, 2:, 1:-1] + y[:, :-2, 1:-1] + y[:, 1:-1, 2:] + y[:, 1:-1, :-2]
        return hole * (4.0 * x - neighbours)

    def dot(x: Image, y: Image) -> Array:
        return jnp.einsum("bhwc,bhwc->b", x, y)[:, None, None, None]

    def step(_: Array, state: tuple[Image, Image, Image, Array]) -> tuple[Image, Image, Image, Array]:
        x, residual, direction, before = state
        bent = excess(direction)
        length = before / jnp.maximum(dot(direction, bent), 1e-12)
        residual = residual - length * bent
        now = dot(residual, residual)
        return x + length * direction, residual, residual + now / jnp.maximum(before, 1e-12) * direction, now

    image = jax.lax.stop_gradient(image.astype(jnp.float32))
    residual = -excess(image)
    return jax.lax.fori_loop(0, STEPS, step, (image, residual, residual, dot(residual, residual)))[0]

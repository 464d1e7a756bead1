"""The randomness of transforms: whether each one is applied to an image, and its random numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

UNIFORMS, NORMALS = 2, 4  # random numbers available to a transform per image


class Draw(NamedTuple):
    """The draws of one transform, for every image of a batch."""

    active: Bool[Array, " b"]
    uniform: Float[Array, "u b"]  # in [0, 1)
    normal: Float[Array, "n b"]

    def gated(self, changed: Array, unchanged: Array) -> Array:
        """For each row, `changed` if the transform is active, else `unchanged`, bit for bit."""
        return jnp.where(self.active.reshape(-1, *(1,) * (changed.ndim - 1)), changed, unchanged)


def draw(key: Array, chances: Mapping[str, Any], batch: int) -> dict[str, Draw]:
    """A draw for every transform in `chances`, which maps names to probabilities."""
    active_key, uniform_key, normal_key = jax.random.split(key, 3)
    count = len(chances)
    chance = jnp.stack([jnp.asarray(each, jnp.float32) for each in chances.values()])
    active = jax.random.uniform(active_key, (count, batch)) < chance[:, None]
    uniform = jax.random.uniform(uniform_key, (count, UNIFORMS, batch))
    normal = jax.random.normal(normal_key, (count, NORMALS, batch))
    return {name: Draw(active[i], uniform[i], normal[i]) for i, name in enumerate(chances)}


def either(key: Array, chance: float, one: Array, other: Array) -> Array:
    """For each row, `one` with probability `chance`, else `other`."""
    return jnp.where(jax.random.bernoulli(key, chance, (one.shape[0], *(1,) * (one.ndim - 1))), one, other)


def uniform_in(key: Array, count: int, bounds: tuple[float, float]) -> Float[Array, " b"]:
    """`count` uniform random numbers between the bounds."""
    return jax.random.uniform(key, (count,), minval=bounds[0], maxval=bounds[1])


def whole_in(key: Array, count: int, bounds: tuple[float, float]) -> Int[Array, " b"]:
    """`count` uniform random integers between the bounds, both included."""
    return jax.random.randint(key, (count,), int(bounds[0]), int(bounds[1]) + 1)


def alike(function: Callable[[Array], Array], image: Array) -> Array:
    """Apply `function` to images, or to each frame of clips `[B,T,H,W,C]` with the same draws for all frames."""
    return jax.vmap(function, in_axes=1, out_axes=1)(image) if image.ndim == 5 else function(image)

"""Instance normalization (Ulyanov et al. 2016): each image is normalized independently of its batch."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from jaxgan.layers.frames import Images, by_frame
from jaxgan.layers.normalization import BatchNorm
from jaxgan.layers.reduction import row_mean, spread

EPSILON = 1e-5


def instance_norm(x: Images) -> Images:
    """x with mean 0 and variance 1 over the pixels of each image and channel, in the dtype of x, without params.

    In clips, over the pixels of each frame, so that no frame depends on later ones.
    """
    return by_frame(jax.vmap(_normed), x)


def normed(x: Images, norm: str, *, train: bool, name: str, dtype: Any = jnp.float32) -> Images:
    """x after the `norm` "instance" or "batch" (submodule `name` of the calling network); other values return x."""
    if norm == "instance":
        return instance_norm(x)
    if norm == "batch":
        return BatchNorm(dtype=dtype, name=name)(x, train=train)
    return x


def _normed(image: Array) -> Array:
    x = image.astype(jnp.float32)
    centred = x - spread(row_mean(x), x.shape)
    factor = lax.rsqrt(row_mean(jnp.square(centred)) + EPSILON)
    return (centred * spread(factor, x.shape)).astype(image.dtype)

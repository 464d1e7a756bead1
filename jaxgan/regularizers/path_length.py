"""Path length: a step in style space should change the image equally wherever it is taken (Karras et al. 2020)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan.config.domains import Count, Given, NotNegativeTraced, ShareTraced
from jaxgan.layers.collective import pmean

START: Mapping[str, float] = {"mean": 0.0}


def path_length(
    style: Given[Float[Array, "b l w"]],
    synthesize: Given[Callable[[Any], Any]],
    key: Given[Array],
    *,
    weight: NotNegativeTraced = 2.0,
    decay: ShareTraced = 0.01,
    shrink: Count = 2,
    memory: Given[Mapping[str, Any]] = START,
) -> tuple[Float[Array, " n"], dict[str, Any]]:
    """weight (|J^T y| - a)^2 for y ~ N(0, I) / sqrt(pixels) (eq. 4), for every `shrink`-th style, and the new a.

    J is the derivative of the image with respect to the style; the length is the root mean square over the style's
    layers. a, kept in `memory["mean"]`, moves by the fraction `decay` towards the mean length of the batch.
    """
    style = style[::shrink].astype(jnp.float32)
    lengths = path_lengths(style, synthesize, key)
    mean = memory["mean"] + decay * (jax.lax.stop_gradient(pmean(lengths.mean())) - memory["mean"])
    return weight * jnp.square(lengths - mean), {"mean": mean}


def path_lengths(style: Float[Array, "b l w"], synthesize: Callable[[Any], Any], key: Array) -> Float[Array, " b"]:
    """|J^T y| of each style; of images at several scales only the largest is used."""

    def projected(style: Any) -> Array:
        images = synthesize(style)
        image = images[0] if isinstance(images, tuple) else images
        noise = jax.random.normal(key, image.shape) / math.sqrt(image.shape[1] * image.shape[2])
        return (image.astype(jnp.float32) * noise).sum()

    gradient = jax.grad(projected)(style).astype(jnp.float32)
    # the tiny constant keeps the derivative of the square root finite at a zero gradient
    return jnp.sqrt(jnp.square(gradient).sum(axis=2).mean(axis=1) + 1e-12)

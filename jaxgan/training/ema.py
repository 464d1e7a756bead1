"""The exponential moving average of a generator's weights, by images.

Params are averaged, and of the variables the statistics: what a network keeps of its activations or kernels over many
steps, and what therefore has to fit the averaged params. Everything else (clocks, counters, constants) is copied.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxgan.game import Array, Variables
from jaxgan.schedules import Number, at

STATISTICS = (  # the collections that are averaged
    "batch_stats",  # moments of activations; the name for whatever networks of other packages measure
    "average",  # StyleGAN2's mean style, which goes with the averaged mapping network
    "spectral",  # singular vectors: from the live ones power iteration finds less of an averaged kernel's norm
)


def ema_decay(images: Array, images_seen: Array, *, half_life_images: Number, rampup: float | None = None) -> Array:
    """How much of the average stays after `images` more images: 0.5^(images / half-life).

    `half_life_images` may be a schedule and may be 0 (the average is then the live weights). `rampup`
    bounds the half-life by that share of the images seen (Karras et al. 2020, `ema_rampup`).
    """
    half_life = at(half_life_images, images_seen, "ema.half_life_images")
    if rampup is not None:
        half_life = jnp.minimum(half_life, images_seen * rampup)
    return 0.5 ** (images / jnp.maximum(half_life, 1e-8))


def ema_update(average: Any, live: Any, decay: Array) -> Any:
    """`average` moved towards `live`: floats by `decay`, everything else copied."""

    def move(old: Array, new: Array) -> Array:
        if not jnp.issubdtype(new.dtype, jnp.floating):
            return new
        return (new + decay * (old - new)).astype(new.dtype)

    return jax.tree.map(move, average, live)


def variables_update(average: Mapping[str, Variables], live: Mapping[str, Variables], decay: Array) -> Variables:
    """The variables, by collection, that go with averaged params: statistics move by `decay`, all others are `live`."""
    return {kind: ema_update(average[kind], live[kind], decay) if kind in STATISTICS else live[kind] for kind in live}

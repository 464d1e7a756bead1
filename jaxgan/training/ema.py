"""The exponential moving average of a generator's weights, with a half-life in images.

Averaged are the params and, of the variables, the statistics: what a network accumulates about its activations or
kernels over many steps, which has to fit the averaged params. Everything else (clocks, counters, constants) is copied.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from jaxgan.game import Array, Params, Variables
from jaxgan.schedules import Number, at

STATISTICS = (  # the collections that are averaged
    "batch_stats",  # moments of activations, by Flax's name
    "average",  # StyleGAN2's mean style, which belongs to the averaged mapping network
    "spectral",  # singular vectors: started at the live ones, power iteration underestimates an averaged kernel's norm
)


def ema_decay(images: Array, images_seen: Array, *, half_life_images: Number, rampup: float | None = None) -> Array:
    """The weight of the old average after `images` more images: 0.5^(images / half-life).

    `half_life_images` may be a schedule, and 0 (the average then equals the live weights). `rampup` bounds the
    half-life by this share of the images seen (Karras et al. 2020, `ema_rampup`).
    """
    half_life = at(half_life_images, images_seen, "ema.half_life_images")
    if rampup is not None:
        half_life = jnp.minimum(half_life, images_seen * rampup)
    return 0.5 ** (images / jnp.maximum(half_life, 1e-8))


def ema_update(average: Params, live: Params, decay: Array) -> Params:
    """`decay * average + (1 - decay) * live` for floats; everything else is copied from `live`."""

    def move(old: Array, new: Array) -> Array:
        if not jnp.issubdtype(new.dtype, jnp.floating):
            return new
        return (new + decay * (old - new)).astype(new.dtype)

    return jax.tree.map(move, average, live)


def variables_update(average: Mapping[str, Variables], live: Mapping[str, Variables], decay: Array) -> Variables:
    """The variables, by collection, of averaged params: statistics are averaged, all others copied from `live`."""
    return {kind: ema_update(average[kind], live[kind], decay) if kind in STATISTICS else live[kind] for kind in live}

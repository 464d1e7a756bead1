"""Diversity of the generator: different latents should give different images."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan.config.domains import Given, NotNegativeTraced
from jaxgan.layers.collective import pmean
from jaxgan.losses.adversarial import per_example

SMALLEST = 1e-5  # keeps the penalty of a collapsed generator finite


def mode_seeking(
    generate: Given[Any],
    latent: Given[Float[Array, "b z"]],
    fake: Given[Any],
    key: Given[Array],
    *,
    weight: NotNegativeTraced = 1.0,
) -> Float[Array, ""]:
    """weight / mean(|G(z) - G(z')| / |z - z'|), with mean absolute differences (Mao et al. 2019, eq. 4).

    z' is a fresh draw for the same label. The ratios are averaged over the batch before they are inverted; otherwise
    one pair that happens to be similar would outweigh all the others.
    """
    other = jax.random.normal(key, latent.shape, latent.dtype)
    images = per_example(jax.tree.map(lambda a, b: jnp.abs(a - b), fake, generate(other)))
    latents = jnp.abs(latent - other).mean(axis=1)
    return weight / (pmean((images / latents).mean()) + SMALLEST)

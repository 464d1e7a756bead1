"""Gated convolution (Yu et al. 2019, section 3.1): features times a soft mask, both learned by one convolution."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

SLOPE = 0.2  # of LeakyReLU
# mean square of N(0, 1) after LeakyReLU, times the mean square of the sigmoid of another N(0, 1)
LEFT = (1 + SLOPE**2) / 2 * 0.2934

_features = nn.initializers.variance_scaling(1 / LEFT, "fan_in", "normal")
_gates = nn.initializers.variance_scaling(1.0, "fan_in", "normal")


def gated(x: Float[Array, "... c2"]) -> Float[Array, "... c"]:
    """LeakyReLU of the first half of the channels, times the sigmoid of the second half (eq. 2)."""
    features, gates = jnp.split(x, 2, axis=-1)
    return nn.leaky_relu(features, SLOPE) * nn.sigmoid(gates)


def gated_init(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
    """Initial kernels `[..., i, 2c]` for layers before `gated`; together they preserve the mean square."""
    half = (*shape[:-1], shape[-1] // 2)
    parts = zip((_features, _gates), jax.random.split(key))
    return jnp.concatenate([init(each, half, dtype) for init, each in parts], axis=-1)

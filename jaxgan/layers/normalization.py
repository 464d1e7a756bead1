"""Normalization."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxgan.layers.collective import pmean
from jaxgan.layers.reduction import row_mean, spread


class BatchNorm(nn.Module):
    """Batch norm over all rows of the batch on all devices (Ioffe & Szegedy 2015, algorithm 1).

    Under `jit` the batch is global; under `pmap` the statistics are averaged over the devices. They are
    float32 whatever `dtype` the network computes in. Params `scale` and `bias`, statistics `mean` and
    `var` in `batch_stats`: flax's own layer, but for its slow reductions on CPU.
    """

    momentum: float = 0.9
    epsilon: float = 1e-5
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b ... c"], *, train: bool) -> Float[Array, "b ... c"]:
        """`train`: with the statistics of the batch, which are also averaged into `batch_stats`."""
        width = (x.shape[-1],)
        kept_mean = self.variable("batch_stats", "mean", jnp.zeros, width, jnp.float32)
        kept_var = self.variable("batch_stats", "var", jnp.ones, width, jnp.float32)
        scale = self.param("scale", nn.initializers.ones, width, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, width, jnp.float32)
        if train:
            mean, var = _moments(x.astype(jnp.float32))
            if not self.is_initializing() and self.is_mutable_collection("batch_stats"):
                kept_mean.value = self.momentum * kept_mean.value + (1 - self.momentum) * lax.stop_gradient(mean)
                kept_var.value = self.momentum * kept_var.value + (1 - self.momentum) * lax.stop_gradient(var)
        else:
            mean, var = kept_mean.value, kept_var.value
        slope = scale * lax.rsqrt(var + self.epsilon)
        y = x.astype(jnp.float32) * spread(slope, x.shape) + spread(bias - mean * slope, x.shape)
        return y.astype(self.dtype)


def _moments(x: Array) -> tuple[Array, Array]:
    mean, square = pmean((row_mean(x), row_mean(jnp.square(x))))
    return mean, jnp.maximum(square - jnp.square(mean), 0.0)

"""Normalization."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan.layers.collective import axis_name


class BatchNorm(nn.Module):
    """Batch norm over all rows of the batch on all devices (Ioffe & Szegedy 2015, algorithm 1).

    Under `jit` the batch is global; under `pmap` the statistics are averaged over the devices. They are
    float32 whatever `dtype` the network computes in.
    """

    momentum: float = 0.9
    epsilon: float = 1e-5
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b ..."], *, train: bool) -> Float[Array, "b ..."]:
        """`train`: with the statistics of the batch, which are also averaged into `batch_stats`."""
        norm = nn.BatchNorm(
            use_running_average=not train,
            momentum=self.momentum,
            epsilon=self.epsilon,
            dtype=self.dtype,
            # initialization is not mapped over devices and needs no other rows
            axis_name=None if self.is_initializing() else axis_name(),
            name="norm",
        )
        return norm(x)

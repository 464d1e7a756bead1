"""ReLU with a learned slope below zero (He et al. 2015, eq. 1)."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan.layers.reduction import spread

START = 0.25  # He et al. 2015, section 2.1


class PReLU(nn.Module):
    """x where it is positive, `slope` x elsewhere: one param for all channels, as in PyTorch, or one per channel."""

    by_channel: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "... c"]) -> Float[Array, "... c"]:
        """The activation, in the dtype of x."""
        shape = x.shape[-1:] if self.by_channel else ()
        slope = self.param("slope", nn.initializers.constant(START), shape, jnp.float32)
        slopes = jnp.broadcast_to(slope.astype(x.dtype), x.shape[-1:])  # so that `row_sum` sums its gradient
        return jnp.where(x >= 0, x, spread(slopes, x.shape) * x)

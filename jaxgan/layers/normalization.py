"""Batch normalization, with a gain and a bias of its own or with those that a condition asks for."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxgan.layers.collective import pmean
from jaxgan.layers.labels import Condition, looked_up
from jaxgan.layers.reduction import row_mean, spread
from jaxgan.layers.spectral import spectral_norm

STATISTICS = "batch_stats"  # the collection of the means and variances that are kept in training
BATCH = "batch"  # the collection that a forward in training writes those of its batch alone to, where it may


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
        scale = self.param("scale", nn.initializers.ones, width, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, width, jnp.float32)
        mean, factor = _statistics(self, x, train)
        slope = scale * factor
        y = x.astype(jnp.float32) * spread(slope, x.shape) + spread(bias - mean * slope, x.shape)
        return y.astype(self.dtype)


class ConditionalBatchNorm(nn.Module):
    """Batch norm whose gain and bias follow from a condition of each example (Dumoulin et al. 2017, eq. 5).

    The condition is a label `[b]`, where `num_classes` is above 0: each class has a gain and a bias, which
    start at 1 and 0 (Miyato & Koyama 2018), and shares of classes `[b,num_classes]` have their mixtures. Or it
    is a vector c `[b,f]`: 1 + linear(c) and linear(c) (Brock et al. 2019, appendix B), the two linear maps
    without bias and on chosen spectrally normed. Params `scale` and `bias`, statistics as in `BatchNorm`.
    """

    num_classes: int = 0
    spectral: bool = False
    momentum: float = 0.9
    epsilon: float = 1e-5
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b ... c"], condition: Condition, *, train: bool) -> Float[Array, "b ... c"]:
        """`train`: with the statistics of the batch, which are also averaged into `batch_stats`."""
        gain = 1 + self._linear("scale", x.shape[-1], condition, train)
        bias = self._linear("bias", x.shape[-1], condition, train)
        mean, factor = _statistics(self, x, train)
        slope = gain * factor
        each = (x.shape[0], *(1,) * (x.ndim - 2), x.shape[-1])  # a vector an example
        y = x.astype(jnp.float32) * slope.reshape(each) + (bias - mean * slope).reshape(each)
        return y.astype(self.dtype)

    def _linear(self, name: str, width: int, condition: Array, train: bool) -> Array:
        if self.num_classes:  # zeros, to which the gain adds its 1
            table = nn.Embed(self.num_classes, width, embedding_init=nn.initializers.zeros, name=name)
            return looked_up(table, condition)
        dense = nn.Dense(width, use_bias=False, kernel_init=nn.initializers.orthogonal(), name=name)
        return spectral_norm(dense, condition.astype(jnp.float32), train=train, wanted=self.spectral)


def batch_norm(
    x: Float[Array, "b ... c"],
    condition: Condition | None,
    *,
    train: bool,
    name: str,
    num_classes: int = 0,
    spectral: bool = False,
    dtype: Any = jnp.float32,
) -> Float[Array, "b ... c"]:
    """A submodule `name` of the calling network: `BatchNorm` of x, the conditional one where there is a condition."""
    if condition is None:
        return BatchNorm(dtype=dtype, name=name)(x, train=train)
    norm = ConditionalBatchNorm(num_classes=num_classes, spectral=spectral, dtype=dtype, name=name)
    return norm(x, condition, train=train)


def _statistics(module: Any, x: Array, train: bool) -> tuple[Array, Array]:
    """The mean `[c]` and one over the deviation `[c]`, of the batch or kept; those of the batch are kept."""
    width = (x.shape[-1],)
    kept_mean = module.variable(STATISTICS, "mean", jnp.zeros, width, jnp.float32)
    kept_var = module.variable(STATISTICS, "var", jnp.ones, width, jnp.float32)
    if train:
        mean, var = _moments(x.astype(jnp.float32))
        if not module.is_initializing() and module.is_mutable_collection(BATCH):
            module.put_variable(BATCH, "mean", mean)
            module.put_variable(BATCH, "var", var)
        if not module.is_initializing() and module.is_mutable_collection(STATISTICS):
            kept_mean.value = module.momentum * kept_mean.value + (1 - module.momentum) * lax.stop_gradient(mean)
            kept_var.value = module.momentum * kept_var.value + (1 - module.momentum) * lax.stop_gradient(var)
    else:
        mean, var = kept_mean.value, kept_var.value
    return mean, lax.rsqrt(var + module.epsilon)


def _moments(x: Array) -> tuple[Array, Array]:
    mean, square = pmean((row_mean(x), row_mean(jnp.square(x))))
    return mean, jnp.maximum(square - jnp.square(mean), 0.0)

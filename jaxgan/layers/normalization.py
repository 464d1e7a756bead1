"""Batch normalization, with its own gain and bias or with those computed from a condition."""

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

STATISTICS = "batch_stats"  # the collection of the running means and variances
BATCH = "batch"  # the collection to which a training forward writes the statistics of its batch alone, if it is mutable


class BatchNorm(nn.Module):
    """Batch norm over all rows of the batch on all devices (Ioffe & Szegedy 2015, algorithm 1).

    Under `jit` the batch is global; under `pmap` the statistics are averaged over the devices. Statistics are
    float32 regardless of `dtype`. Params `scale` and `bias`, statistics `mean` and `var` in `batch_stats`, as in
    flax's own layer, but without its slow reductions on CPU.
    """

    momentum: float = 0.9
    epsilon: float = 1e-5
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b ... c"], *, train: bool) -> Float[Array, "b ... c"]:
        """`train`: normalize with the statistics of the batch, and average them into `batch_stats`."""
        width = (x.shape[-1],)
        scale = self.param("scale", nn.initializers.ones, width, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, width, jnp.float32)
        mean, factor = _statistics(self, x, train)
        slope = scale * factor
        y = x.astype(jnp.float32) * spread(slope, x.shape) + spread(bias - mean * slope, x.shape)
        return y.astype(self.dtype)


class ConditionalBatchNorm(nn.Module):
    """Batch norm with a gain and bias computed from the condition of each example (Dumoulin et al. 2017, eq. 5).

    If `num_classes` is above 0, the condition is a label `[b]`: each class has a gain and a bias, which start at 1
    and 0 (Miyato & Koyama 2018), and shares of classes `[b,num_classes]` use their mixtures. Otherwise it is a vector
    c `[b,f]`, with gain 1 + linear(c) and bias linear(c) (Brock et al. 2019, appendix B); the two linear maps have
    no bias and are optionally spectrally normalized. Params `scale` and `bias`, statistics as in `BatchNorm`.
    """

    num_classes: int = 0
    spectral: bool = False
    momentum: float = 0.9
    epsilon: float = 1e-5
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b ... c"], condition: Condition, *, train: bool) -> Float[Array, "b ... c"]:
        """`train`: normalize with the statistics of the batch, and average them into `batch_stats`."""
        gain = 1 + self._linear("scale", x.shape[-1], condition, train)
        bias = self._linear("bias", x.shape[-1], condition, train)
        mean, factor = _statistics(self, x, train)
        slope = gain * factor
        each = (x.shape[0], *(1,) * (x.ndim - 2), x.shape[-1])  # one vector per example
        y = x.astype(jnp.float32) * slope.reshape(each) + (bias - mean * slope).reshape(each)
        return y.astype(self.dtype)

    def _linear(self, name: str, width: int, condition: Array, train: bool) -> Array:
        if self.num_classes:  # starts at zeros; the gain adds 1
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
    """`BatchNorm` of x, `ConditionalBatchNorm` if there is a condition: submodule `name` of the calling network."""
    if condition is None:
        return BatchNorm(dtype=dtype, name=name)(x, train=train)
    norm = ConditionalBatchNorm(num_classes=num_classes, spectral=spectral, dtype=dtype, name=name)
    return norm(x, condition, train=train)


def _statistics(module: Any, x: Array, train: bool) -> tuple[Array, Array]:
    """The mean `[c]` and 1 / deviation `[c]`, of the batch if `train`, which updates the running ones, else running."""
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

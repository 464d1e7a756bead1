"""Equalised learning rate (Karras et al. 2018, section 4.1): weights of unit variance, scaled at run time."""

from __future__ import annotations

import math
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxgan.layers.conv import Geometry, conv
from jaxgan.layers.frames import by_frame
from jaxgan.layers.reduction import spread
from jaxgan.layers.temporal import time_conv


class EqualizedDense(nn.Module):
    """`[..., i] -> [..., features]`; params `kernel` `[i,features]` ~ N(0, 1/lr_multiplier^2) and `bias`.

    Kernel and bias are multiplied by `lr_multiplier`, the kernel also by `gain` / sqrt(i).
    """

    features: int
    use_bias: bool = True
    bias_init: float = 0.0
    lr_multiplier: float = 1.0
    gain: float = 1.0
    dtype: Any = jnp.float32  # to compute in; params are float32

    @nn.compact
    def __call__(self, x: Float[Array, "... i"]) -> Float[Array, "... o"]:
        """The dense layer applied to x."""
        init = nn.initializers.normal(1 / self.lr_multiplier)
        kernel = self.param("kernel", init, (x.shape[-1], self.features), jnp.float32)
        scale = self.gain * self.lr_multiplier / math.sqrt(x.shape[-1])
        y = x.astype(self.dtype) @ (kernel * scale).astype(self.dtype)
        if not self.use_bias:
            return y
        init = nn.initializers.constant(self.bias_init / self.lr_multiplier)
        bias = self.param("bias", init, (self.features,), jnp.float32)
        return y + spread((bias * self.lr_multiplier).astype(self.dtype), y.shape)


class EqualizedConv(nn.Module):
    """`[b,h,w,i] -> [b,h',w',features]`, clips frame by frame; params `kernel` `[k,k,i,features]` ~ N(0, 1) and `bias`.

    The kernel is multiplied by `gain` / sqrt(k k i).
    """

    features: int
    kernel_size: int = 3
    stride: int = 1
    padding: int | None = None  # None: keeps the size at stride 1
    use_bias: bool = True
    gain: float = 1.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b *t h w i"]) -> Float[Array, "b *t h2 w2 o"]:
        """The convolution."""
        k = self.kernel_size
        kernel = self.param("kernel", nn.initializers.normal(1.0), (k, k, x.shape[-1], self.features), jnp.float32)
        kernel = kernel * (self.gain / math.sqrt(k * k * x.shape[-1]))
        padding = k // 2 if self.padding is None else self.padding
        geometry = Geometry((self.stride,) * 2, ((padding,) * 2,) * 2, 1, (x.shape[-3], x.shape[-2]))
        y = by_frame(lambda x: conv(x, kernel.astype(self.dtype), geometry), x.astype(self.dtype))
        if not self.use_bias:
            return y
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        return y + spread(bias.astype(self.dtype), y.shape)


class EqualizedTimeConv(nn.Module):
    """Unpadded time convolution `[b,t,i] -> [b,t-k+1,features]`; params and `lr_multiplier` as in `EqualizedDense`."""

    features: int
    kernel_size: int = 3
    lr_multiplier: float = 1.0

    @nn.compact
    def __call__(self, x: Float[Array, "b t i"]) -> Float[Array, "b t2 o"]:
        """The convolution."""
        init = nn.initializers.normal(1 / self.lr_multiplier)
        kernel = self.param("kernel", init, (self.kernel_size, x.shape[-1], self.features), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        y = time_conv(x, kernel * (self.lr_multiplier / math.sqrt(self.kernel_size * x.shape[-1])))
        return y + spread(bias * self.lr_multiplier, y.shape)


def pixel_norm(x: Float[Array, "... c"]) -> Float[Array, "... c"]:
    """x with unit mean square over its last axis (Karras et al. 2018, section 4.2)."""
    square = jnp.square(x.astype(jnp.float32)).mean(axis=-1, keepdims=True)
    return (x * lax.rsqrt(square + 1e-8)).astype(x.dtype)


def leaky_relu(x: Array) -> Array:
    """Leaky ReLU of slope 0.2 times sqrt(2), which keeps the mean square (Karras et al. 2020, appendix B)."""
    return nn.leaky_relu(x, 0.2) * math.sqrt(2)

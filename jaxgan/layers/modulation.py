"""Modulated convolution (Karras et al. 2020, section 2.2): a convolution whose kernel depends on each example's style.

A kernel scaled by a style along its input channels is the plain kernel on scaled inputs, and its normalisation
("demodulation") scales the outputs. So one convolution serves the whole batch, at every order of differentiation.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxgan.layers.conv import Geometry, conv, conv_transpose
from jaxgan.layers.equalized import EqualizedDense, leaky_relu
from jaxgan.layers.reduction import row_sum, spread
from jaxgan.layers.resampling import blur

EPSILON = 1e-8  # added under the root in demodulation


def modulated_conv(
    x: Float[Array, "b h w i"],
    kernel: Float[Array, "k k i o"],
    scale: Float[Array, "b i"],
    *,
    demodulate: bool = True,
    up: bool = False,
) -> Float[Array, "b h2 w2 o"]:
    """The convolution of each image with `scale` times the kernel, of odd size; keeps the image size unless `up`.

    With `demodulate`, the scaled kernel has unit norm for each output channel (eq. 3). `up` doubles the image with a
    transposed convolution of stride 2 and a blur. Computes in the dtype of x.
    """
    size, dtype = kernel.shape[0], x.dtype
    y = x * scale.astype(dtype)[:, None, None]
    if up:  # h -> 2h + 1 (size 3), then 2h by the blur
        height, width = (2 * (length - 1) + size for length in x.shape[1:3])
        geometry = Geometry((2, 2), ((0, 0), (0, 0)), 1, (height, width))
        y = conv_transpose(y, kernel.astype(dtype).swapaxes(2, 3), geometry)
    else:
        geometry = Geometry((1, 1), ((size // 2, size // 2),) * 2, 1, (x.shape[1], x.shape[2]))
        y = conv(y, kernel.astype(dtype), geometry)
    if demodulate:
        norms = row_sum(jnp.square(kernel).reshape(size * size, -1)).reshape(kernel.shape[2:])
        y = y * lax.rsqrt(jnp.square(scale) @ norms + EPSILON).astype(dtype)[:, None, None]
    return blur(y, (1, 1), gain=4.0) if up else y


class StyledConv(nn.Module):
    """Modulated convolution, noise of learned strength, bias and leaky ReLU: `[b,h,w,i]`, style `[b,s]` to `features`.

    Params: `affine` (style to scales), `kernel` `[3,3,i,features]`, `noise_strength` `[]` and `bias`. In training,
    noise is drawn from the rng "noise"; otherwise, or without that rng, it is the image `noise` `[h',w']` in the
    collection "constants".
    """

    features: int
    up: bool = False
    clamp: float | None = None  # bound on the output, for low precision
    noise: bool = True
    dtype: Any = jnp.float32  # of the convolution; params and styles are float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w i"], style: Float[Array, "b s"], *, train: bool
    ) -> Float[Array, "b h2 w2 o"]:
        """The activations, at twice the size with `up`."""
        width = x.shape[-1]
        scale = EqualizedDense(width, bias_init=1.0, name="affine")(style)
        kernel = self.param("kernel", nn.initializers.normal(1.0), (3, 3, width, self.features), jnp.float32)
        kernel = kernel / math.sqrt(9 * width)
        x = modulated_conv(x.astype(self.dtype), kernel, scale, up=self.up)
        if self.noise:
            strength = self.param("noise_strength", nn.initializers.zeros, (), jnp.float32)
            x = x + (strength * self._noise(x.shape, train=train)).astype(self.dtype)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        return clamped(leaky_relu(x + spread(bias.astype(self.dtype), x.shape)), self.clamp)

    def _noise(self, shape: tuple[int, ...], *, train: bool) -> Array:
        draw = partial(jax.random.normal, dtype=jnp.float32)
        constant = self.variable("constants", "noise", lambda: draw(self.make_rng("params"), shape[1:3]))
        if train and self.has_rng("noise"):
            return draw(self.make_rng("noise"), (*shape[:3], 1))
        return constant.value[None, :, :, None]


class ToRGB(nn.Module):
    """Activations to pixels: modulated, not demodulated 1x1 convolution plus bias, `[b,h,w,i] -> [b,h,w,channels]`.

    Params: `affine`, `kernel` `[1,1,i,channels]` and `bias`. The output is float32 regardless of `dtype`.
    """

    channels: int
    clamp: float | None = None
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w i"], style: Float[Array, "b s"]) -> Float[Array, "b h w c"]:
        """The pixels."""
        width = x.shape[-1]
        scale = EqualizedDense(width, bias_init=1.0, name="affine")(style)
        kernel = self.param("kernel", nn.initializers.normal(1.0), (1, 1, width, self.channels), jnp.float32)
        x = modulated_conv(x.astype(self.dtype), kernel / math.sqrt(width), scale, demodulate=False)
        bias = self.param("bias", nn.initializers.zeros, (self.channels,), jnp.float32)
        return clamped(x.astype(jnp.float32) + spread(bias, x.shape), self.clamp)


def clamped(x: Array, bound: float | None) -> Array:
    """x clipped to [-bound, bound]; None: x unchanged."""
    return x if bound is None else jnp.clip(x, -bound, bound)

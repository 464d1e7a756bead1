"""The residual-in-residual dense blocks of ESRGAN (Wang et al. 2018), and their Real-ESRGAN version (2021)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxgan.config.domains import Count, Given
from jaxgan.errors import UserError
from jaxgan.game import Array
from jaxgan.layers.conv import Conv, Geometry, Initializer, conv
from jaxgan.layers.padding import padded_to
from jaxgan.layers.reduction import spread
from jaxgan.layers.resampling import box_upsample

SLOPE = 0.2  # of LeakyReLU
RESIDUAL = 0.2  # scale of each block's residual (Wang et al. 2018, 3.1)
LAYERS = 5  # convolutions per dense block
DENSE = 3  # dense blocks per block
DOUBLINGS = 2

linear = nn.initializers.variance_scaling(1.0, "fan_in", "normal")
he = nn.initializers.variance_scaling(2 / (1 + SLOPE**2), "fan_in", "normal")
small = nn.initializers.variance_scaling(0.02, "fan_in", "normal")  # a tenth of MSRA's deviation (3.1)


class Generator(nn.Module):
    """Conditions `[B,h,w,C']` to images `[B,sh,sw,C]` in about [-1, 1], of any height and width; without norms.

    The features are always doubled twice. For scale 2 or 1, each 2x2 or 4x4 pixels of the condition first become
    channels (Wang et al. 2021, figure 4); its sides are padded by reflection to such multiples. With `unit_range` the
    network itself works on [0, 1], like the published ones, so that its zero padding is black.
    """

    channels: Given[Count]
    scale: Count = 4
    blocks: Count = 23
    base_width: Count = 64
    growth: Count = 32  # channels that a convolution of a dense block adds
    unit_range: bool = False
    dtype: DTypeLike = jnp.float32

    @property
    def multiple(self) -> int:
        """Condition pixels along a side per feature pixel. Raises UserError unless the scale is 1, 2 or 4."""
        if self.scale not in (1, 2, 4):
            raise UserError(f"rrdb: got scale {self.scale}, expected 1, 2 or 4")
        return (1 << DOUBLINGS) // self.scale

    @property
    def receptive_field(self) -> int:
        """The largest number of condition pixels, on each side of its own, that an output pixel depends on."""
        reach = 2  # of the last two convolutions, in pixels of the doubled features
        for _ in range(DOUBLINGS):
            reach = -(-(reach + 1) // 2)
        reach += 2 + LAYERS * DENSE * self.blocks
        return self.multiple * reach  # as seen from the outermost of the pixels that become one

    @nn.compact
    def __call__(self, condition: Array, label: Array | None = None, *, train: bool) -> Array:
        """The images; `train` makes no difference. Raises UserError unless the scale is 1, 2 or 4."""
        del label, train
        height, width = condition.shape[1:3]
        x = (condition + 1) / 2 if self.unit_range else condition
        x = pixels_to_channels(padded_to(x.astype(self.dtype), self.multiple), self.multiple)
        x = first = self._conv(self.base_width, linear, "stem")(x)
        for index in range(self.blocks):
            x = Block(self.growth, self.dtype, name=f"block_{index}")(x)
        x = first + self._conv(self.base_width, linear, "leave")(x)
        for index in range(DOUBLINGS):
            x = nn.leaky_relu(self._conv(self.base_width, he, f"up_{index}")(box_upsample(x)), SLOPE)
        x = nn.leaky_relu(self._conv(self.base_width, he, "refine")(x), SLOPE)
        image = self._conv(self.channels, linear, "image")(x).astype(jnp.float32)
        image = image[:, : self.scale * height, : self.scale * width]
        return 2 * image - 1 if self.unit_range else image

    def _conv(self, features: int, init: Initializer, name: str) -> Conv:
        return Conv(features, kernel_init=init, dtype=self.dtype, name=name)


class Block(nn.Module):
    """x plus a fifth of the output of three dense blocks: `[b,h,w,c] -> [b,h,w,c]`."""

    growth: Count
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """The residual-in-residual dense block (Wang et al. 2018, figure 4)."""
        y = x
        for index in range(DENSE):
            y = DenseBlock(self.growth, self.dtype, name=f"dense_{index}")(y)
        return x + RESIDUAL * y


class DenseBlock(nn.Module):
    """x plus a fifth of the output of five convolutions, each of x and all earlier maps: `[b,h,w,c] -> [b,h,w,c]`."""

    growth: Count
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """The dense block."""
        width, layers = x.shape[-1], []
        for index in range(LAYERS):
            features = self.growth if index + 1 < LAYERS else width
            layers.append(_Weights(width + index * self.growth, features, self.dtype, name=f"conv_{index}")())
        return x + RESIDUAL * densely(x, layers)


class Layer(NamedTuple):
    """The params of a 3x3 convolution."""

    kernel: Array  # [3,3,i,o]
    bias: Array  # [o]


class _Weights(nn.Module):
    """The params of one of the convolutions that `densely` computes together."""

    inputs: int
    features: int
    dtype: DTypeLike

    @nn.compact
    def __call__(self) -> Layer:
        kernel = self.param("kernel", small, (3, 3, self.inputs, self.features), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        return Layer(kernel.astype(self.dtype), bias.astype(self.dtype))


def densely(x: Array, layers: Sequence[Layer]) -> Array:
    """Densely connected convolutions: the output of the last, `[b,h,w,c] -> [b,h,w,o]`, with LeakyReLU between them.

    Each layer reads x and the outputs of all earlier layers. Each map is convolved once with the concatenated kernels
    of all layers that read it, and each layer adds up its parts. These are the products of the formula, but wider, and
    with 3 times fewer patches than if each layer concatenated its own inputs, which takes a tenth more time on CPU.
    """
    geometry = Geometry((1, 1), ((1, 1), (1, 1)), 1, (x.shape[1], x.shape[2]))
    sums: list[Array] = [spread(layer.bias, (*x.shape[:3], layer.bias.shape[0])) for layer in layers]
    seen = 0
    for index in range(len(layers)):
        later = layers[index:]
        kernels = [layer.kernel[:, :, seen : seen + x.shape[-1]] for layer in later]
        seen += x.shape[-1]
        ends = [sum(layer.bias.shape[0] for layer in later[:count]) for count in range(1, len(later))]
        parts = jnp.split(conv(x, jnp.concatenate(kernels, axis=-1), geometry), ends, axis=-1)
        sums[index:] = [total + part for total, part in zip(sums[index:], parts)]
        x = nn.leaky_relu(sums[index], SLOPE)
    return sums[-1]


def pixels_to_channels(x: Array, factor: int) -> Array:
    """`[b,fh,fw,c] -> [b,h,w,c f f]` in the order of PyTorch: y[h, w, f f c + f i + j] = x[f h + i, f w + j, c]."""
    b, height, width, channels = x.shape
    blocks = x.reshape(b, height // factor, factor, width // factor, factor, channels)
    return blocks.transpose(0, 1, 3, 5, 2, 4).reshape(b, height // factor, width // factor, -1)

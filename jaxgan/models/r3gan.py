"""R3GAN (Huang et al. 2024): residual networks without norms, to be trained with a relativistic loss, R1 and R2.

A block widens by a 1x1 convolution, mixes by a grouped 3x3 convolution and narrows by another 1x1 convolution. Norms
are replaced by the initialisation: the weights of the blocks are scaled so that their sum keeps its variance, and the
last convolution of each block is zero (fix-up initialisation, Zhang et al. 2019).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Float

from jaxgan.config.domains import Count, Given, Whole
from jaxgan.errors import UserError
from jaxgan.game import Array, Judgement
from jaxgan.layers.conv import Conv
from jaxgan.layers.frames import Meet, apart
from jaxgan.layers.labels import Embedding, projection, sizes, taken, with_embedding
from jaxgan.layers.resampling import downsample, upsample

SLOPE = 0.2  # of LeakyReLU
START = 4  # pixels of the smallest stage
WIDE = 32  # pixels up to which all stages have the same width
LOW = 4  # the number of stages, from the largest images, that may use low precision; the one at 4 pixels never does

linear = nn.initializers.variance_scaling(1.0, "fan_in", "normal")


class Generator(nn.Module):
    """Latents `[B,Z]` (and labels `[B]`) to images `[B,R,R,C]`, float32, in about [-1, 1] but not bounded.

    `widths` are the channels at 4, 8, ... pixels. Each class is embedded as a vector of `class_embedding` numbers,
    which is concatenated to the latent.
    """

    resolution: Given[Count]
    channels: Given[Count]
    num_classes: Given[Whole] = 0
    conditioning: Literal["concat"] = "concat"
    condition_dim: Given[Whole] = 0  # length of the vectors that replace labels; 0: none
    widths: Sequence[Count] | None = None  # None: `base_width` up to 32 pixels, then halved at each doubling
    base_width: Count = 64
    blocks: Count = 2  # of each stage
    expansion: Count = 2  # of a block's width, at its grouped convolution
    group_width: Count = 16  # channels that a grouped convolution mixes
    class_embedding: Count = 64
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, latent: Array, label: Array | None = None, *, train: bool) -> Array:
        """The images; `train` makes no difference."""
        del train
        widths = stage_widths(self.resolution, self.widths, self.base_width)
        label = taken(self, label)
        if label is not None:
            scale = (self.num_classes or 1) ** -0.5  # as a linear map of one-hot vectors
            latent = with_embedding(latent, label, features=self.class_embedding, scale=scale, **sizes(self))
        x = nn.Dense(widths[0], use_bias=False, kernel_init=linear, name="stem")(latent)
        basis = self.param("basis", nn.initializers.normal(1.0), (START, START, widths[0]), jnp.float32)
        x = x[:, None, None, :] * basis
        for index, width in enumerate(widths):
            dtype = stage_dtype(index, len(widths), self.dtype)
            x = x.astype(dtype)
            if index > 0:
                x = upsample(_fitted(x, width, f"fit_{index}", dtype))
            x = _stage(self, x, index, len(widths), dtype)
        x = Conv(self.channels, 1, use_bias=False, kernel_init=linear, dtype=x.dtype, name="image")(x)
        return x.astype(jnp.float32)


class Discriminator(nn.Module):
    """Images `[B,R,R,C]` (and labels `[B]`) to one logit each.

    `widths` are the channels at 4, 8, ... pixels, as in the generator. Labels enter by projection, the logit then
    being only <a linear map of the features, the class vector>, or are predicted by an extra head ("classifier").
    """

    resolution: Given[Count]
    num_classes: Given[Whole] = 0
    conditioning: Literal["projection", "classifier"] = "projection"
    condition_dim: Given[Whole] = 0  # length of the vectors that replace labels; 0: none
    widths: Sequence[Count] | None = None  # None: `base_width` up to 32 pixels, then halved at each doubling
    base_width: Count = 64
    blocks: Count = 2  # of each stage
    expansion: Count = 2  # of a block's width, at its grouped convolution
    group_width: Count = 16  # channels that a grouped convolution mixes
    dtype: DTypeLike = jnp.float32

    smallest_first: ClassVar[bool] = True  # the order of `widths`; `multiscale` drops some of them

    @nn.compact
    def __call__(self, image: Array, label: Array | None = None, *, train: bool, meet: Meet = apart) -> Judgement:
        """Logits `[B]` and features `[B,F]`, one per channel of the smallest stage; `train` makes no difference.

        `meet` is applied after each stage.
        """
        del train
        widths = stage_widths(self.resolution, self.widths, self.base_width)
        x, last = image, len(widths) - 1
        for index in range(last, -1, -1):
            dtype = stage_dtype(index, len(widths), self.dtype)
            if index == last:
                x = Conv(widths[last], 1, use_bias=False, kernel_init=linear, dtype=dtype, name="image")(x)
            else:
                x = _fitted(downsample(x).astype(dtype), widths[index], f"fit_{index}", dtype)
            x = meet(_stage(self, x, index, len(widths), dtype))
        init = nn.initializers.normal(1 / START)  # a depthwise convolution, of 4x4 pixels a channel
        basis = self.param("basis", init, (START, START, x.shape[-1]), jnp.float32)
        features = (x.astype(jnp.float32) * basis).sum(axis=(1, 2))
        return self._judge(features, taken(self, label, needed=self.conditioning != "classifier"))

    def _judge(self, features: Array, label: Array | None) -> Judgement:
        if self.condition_dim and self.conditioning != "projection":
            raise UserError(f"r3gan: got conditioning {self.conditioning!r}, expected 'projection' for vectors")
        if label is not None and self.conditioning == "projection":
            width = features.shape[-1]
            compared = nn.Dense(width, use_bias=False, kernel_init=linear, name="projected")(features)
            scale = (width * (self.num_classes or 1)) ** -0.5
            embedded = Embedding(features=width, scale=scale, name="label", **sizes(self))(label)
            return Judgement(logits=projection(compared, embedded), features=features)
        logits = nn.Dense(1, use_bias=False, kernel_init=linear, name="logit")(features)[:, 0]
        class_logits = None
        if self.num_classes:
            class_logits = nn.Dense(self.num_classes, use_bias=False, kernel_init=linear, name="class_logits")(features)
        return Judgement(logits=logits, features=features, class_logits=class_logits)


class Block(nn.Module):
    """x + F(x), where F is 1x1, bias, LeakyReLU, grouped 3x3, bias, LeakyReLU, 1x1: `[b,h,w,c] -> [b,h,w,c]`.

    `depth` is the number of blocks of the network, which scales the initial weights; the last convolution starts at
    zero. Raises UserError if the groups do not divide the widened channels.
    """

    depth: Count
    expansion: Count
    group_width: Count
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        """The block."""
        width, hidden = x.shape[-1], self.expansion * x.shape[-1]
        if hidden % self.group_width:
            raise UserError(
                f"r3gan: got group_width {self.group_width}, expected a divisor of {hidden}, the widened channels"
            )
        # He's gain for LeakyReLU; the L^(-1/2) of Zhang et al. 2019, section 3, is split into L^(-1/4) for each of the
        # two convolutions that do not start at zero
        variance = 2 / (1 + SLOPE**2) / math.sqrt(self.depth)
        init = nn.initializers.variance_scaling(variance, "fan_in", "normal")
        y = Conv(hidden, 1, kernel_init=init, dtype=self.dtype, name="widen")(x)
        mix = Conv(hidden, 3, groups=hidden // self.group_width, kernel_init=init, dtype=self.dtype, name="mix")
        y = mix(nn.leaky_relu(y, SLOPE))
        zero = nn.initializers.zeros
        narrow = Conv(width, 1, use_bias=False, kernel_init=zero, dtype=self.dtype, name="narrow")
        return x + narrow(nn.leaky_relu(y, SLOPE))


def stage_widths(resolution: int, widths: Sequence[int] | None, base_width: int) -> tuple[int, ...]:
    """The widths of the stages from 4 pixels to the resolution.

    Raises UserError for a resolution that is not a power of two of at least 8, or unless there is one width for each
    stage.
    """
    stages = resolution.bit_length() - START.bit_length() + 1
    if resolution != START << max(stages - 1, 1):
        raise UserError(f"r3gan: got resolution {resolution}, expected a power of two of at least 8")
    if widths is None:
        return tuple(base_width * WIDE // max(START << index, WIDE) for index in range(stages))
    if len(widths) != stages:
        raise UserError(f"r3gan: got {len(widths)} widths, expected {stages} at resolution {resolution}")
    return tuple(widths)


def stage_dtype(index: int, stages: int, dtype: DTypeLike) -> DTypeLike:
    """The dtype that a stage computes in: `dtype` in the four largest, float32 at 4 pixels and in the others."""
    return dtype if index >= max(1, stages - LOW) else jnp.float32


def _stage(network: Generator | Discriminator, x: Array, index: int, stages: int, dtype: DTypeLike) -> Array:
    for number in range(network.blocks):
        block = Block(
            network.blocks * stages, network.expansion, network.group_width, dtype, name=f"block_{index}_{number}"
        )
        x = block(x)
    return x


def _fitted(x: Array, width: int, name: str, dtype: DTypeLike) -> Array:
    """x, brought to `width` channels by a 1x1 convolution if needed."""
    if x.shape[-1] == width:
        return x
    return Conv(width, 1, use_bias=False, kernel_init=linear, dtype=dtype, name=name)(x)

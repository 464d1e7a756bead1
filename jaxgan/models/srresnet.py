"""Residual networks for super-resolution, and the discriminator of SRGAN (Ledig et al. 2017)."""

from __future__ import annotations

from typing import Literal

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxgan.config.domains import Count, Given, Halvings
from jaxgan.errors import UserError
from jaxgan.game import Array, Judgement
from jaxgan.images.resizing import resize
from jaxgan.layers.conv import Conv
from jaxgan.layers.depth_to_space import depth_to_space
from jaxgan.layers.instance_norm import normed
from jaxgan.layers.prelu import PReLU
from jaxgan.layers.spectral import spectral_norm

SLOPE = 0.2  # of LeakyReLU
WIDEST = 8  # times the base width

linear = nn.initializers.variance_scaling(1.0, "fan_in", "normal")
he = nn.initializers.variance_scaling(2.0, "fan_in", "normal")  # before a ReLU
small = nn.initializers.variance_scaling(0.02, "fan_in", "normal")  # in a sum of many blocks (Wang et al. 2018, 3.1)


class Generator(nn.Module):
    """Conditions `[B,h,w,C']` to images `[B,sh,sw,C]` in [-1, 1], of any height and width.

    Variant "classic": 9x9, 3x3, the blocks, 3x3, then for each doubling a 3x3 convolution to four times the channels,
    which become pixels, and 9x9; with ReLU. Variant "srgan" (figure 4): without the second convolution, with a skip
    from the first one over all blocks, and with PReLU, also after the doublings; with norm "batch" this is the
    published network. With `residual` the image is the bicubically enlarged condition plus the output of the network,
    which starts at zero and is not bounded.
    """

    channels: Given[Count]
    scale: Count = 2
    variant: Literal["classic", "srgan"] = "classic"
    norm: Literal["none", "batch"] = "none"
    base_width: Count = 64
    blocks: Count = 16
    residual: bool = False
    dtype: DTypeLike = jnp.float32

    @property
    def receptive_field(self) -> int:
        """The number of condition pixels, on each side of its own, that an output pixel depends on."""
        reach = 4  # of the last convolution, in the image's pixels
        for _ in range(doublings(self.scale)):
            reach = -(-reach // 2) + 1
        return reach + 1 + 2 * self.blocks + (1 if self.variant == "classic" else 0) + 4

    @nn.compact
    def __call__(self, condition: Array, label: Array | None = None, *, train: bool) -> Array:
        """The images; `train`: uses the statistics of the batch. Raises UserError unless the scale is 1, 2, 4 or 8."""
        del label
        stages, classic, width = doublings(self.scale), self.variant == "classic", self.base_width
        stem = Conv(width, 9, kernel_init=he, dtype=self.dtype, name="stem")
        x = first = _activated(stem(condition.astype(self.dtype)), self.variant, "stem_prelu")
        if classic:
            x = nn.relu(Conv(width, kernel_init=he, dtype=self.dtype, name="enter")(x))
        for index in range(self.blocks):
            x = Block(self.variant, self.norm, self.dtype, name=f"block_{index}")(x, train=train)
        bare, init = self.norm == "none", he if classic else linear
        x = Conv(width, use_bias=bare, kernel_init=init, dtype=self.dtype, name="leave")(x)
        x = normed(x, self.norm, train=train, name="leave_norm", dtype=self.dtype)
        x = nn.relu(x) if classic else x + first
        for index in range(stages):
            up = Conv(4 * width, kernel_init=linear, dtype=self.dtype, name=f"up_{index}")
            x = depth_to_space(up(x), 2)
            if not classic or index + 1 < stages:
                x = _activated(x, self.variant, f"up_{index}_prelu")
        init = nn.initializers.zeros if self.residual else linear
        x = Conv(self.channels, 9, kernel_init=init, dtype=self.dtype, name="image")(x).astype(jnp.float32)
        if not self.residual:
            return jnp.tanh(x)
        return resize(condition[..., : self.channels].astype(jnp.float32), x.shape[1], x.shape[2]) + x


class Block(nn.Module):
    """x + F(x), where F is 3x3, activation, 3x3, with a norm after each convolution: `[b,h,w,c] -> [b,h,w,c]`."""

    variant: str
    norm: str
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        """`train`: uses the statistics of the batch."""
        y = _activated(self._convolved(x, 0, train), self.variant, "prelu")
        return x + self._convolved(y, 1, train)

    def _convolved(self, x: Array, index: int, train: bool) -> Array:
        bare = self.norm == "none"
        conv = Conv(x.shape[-1], use_bias=bare, kernel_init=small, dtype=self.dtype, name=f"conv_{index}")
        return normed(conv(x), self.norm, train=train, name=f"norm_{index}", dtype=self.dtype)


class Discriminator(nn.Module):
    """Images `[B,H,W,C]` of any size to one logit each, by the VGG-style convolutions of SRGAN (figure 4).

    At each width, from the base width, one 3x3 convolution keeps the size of the image and one halves it. SRGAN's
    dense layer reads all pixels, which ties it to one size; here it reads their mean. Norm "batch" is the published
    one; with "none" or "spectral", no image depends on the others, as gradient penalties per image require.
    """

    base_width: Count = 64
    halvings: Halvings = 4
    norm: Literal["none", "spectral", "batch"] = "none"
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, image: Array, label: Array | None = None, *, train: bool) -> Judgement:
        """Logits `[B]`, and the maps `[B,h,w,c]` after each convolution as features."""
        del label
        x, features, spectral = image.astype(self.dtype), [], self.norm == "spectral"
        for index in range(2 * self.halvings):
            width = min(self.base_width << index // 2, WIDEST * self.base_width)
            conv = Conv(
                width,
                stride=1 + index % 2,
                padding=1,
                use_bias=self.norm != "batch" or index == 0,
                kernel_init=he,
                dtype=self.dtype,
                name=f"conv_{index}",
            )
            x = spectral_norm(conv, x, train=train, wanted=spectral)
            if index > 0:  # the first convolution has no norm
                x = normed(x, self.norm, train=train, name=f"norm_{index}", dtype=self.dtype)
            x = nn.leaky_relu(x, SLOPE)
            features.append(x)
        hidden = nn.Dense(2 * x.shape[-1], kernel_init=he, dtype=self.dtype, name="hidden")
        x = nn.leaky_relu(spectral_norm(hidden, x.mean(axis=(1, 2)), train=train, wanted=spectral), SLOPE)
        logit = nn.Dense(1, dtype=self.dtype, name="logit")
        logits = spectral_norm(logit, x, train=train, wanted=spectral)[:, 0]
        return Judgement(logits=logits.astype(jnp.float32), features=tuple(features))


def doublings(scale: int) -> int:
    """The number of doublings of the image. Raises UserError unless the scale is 1, 2, 4 or 8."""
    if scale not in (1, 2, 4, 8):
        raise UserError(f"srresnet: got scale {scale}, expected 1, 2, 4 or 8")
    return scale.bit_length() - 1


def _activated(x: Array, variant: str, name: str) -> Array:
    """ReLU ("classic"), or PReLU as the submodule `name` of the calling network."""
    return nn.relu(x) if variant == "classic" else PReLU(name=name)(x)

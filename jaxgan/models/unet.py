"""U-Nets (Ronneberger et al. 2015): for denoising and inpainting, for translation, and as a discriminator."""

from __future__ import annotations

from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxgan.config.domains import Count, Given, Halvings, SomeHalvings, Whole
from jaxgan.errors import UserError
from jaxgan.game import Array, Judgement
from jaxgan.layers.conv import Conv, ConvTranspose
from jaxgan.layers.filling import fill_holes
from jaxgan.layers.gating import gated, gated_init
from jaxgan.layers.instance_norm import normed
from jaxgan.layers.padding import padded_to
from jaxgan.layers.resampling import bilinear_upsample
from jaxgan.layers.residual import UpConv
from jaxgan.layers.spectral import spectral_norm

SLOPE = 0.2  # of LeakyReLU
WIDEST = 8  # times the base width
DROPOUT = 0.5
DROPPED = 3  # doublings of a translator with dropout, from the smallest image

linear = nn.initializers.variance_scaling(1.0, "fan_in", "normal")
he = nn.initializers.variance_scaling(2 / (1 + SLOPE**2), "fan_in", "normal")
normal = nn.initializers.normal(0.02)  # Isola et al. 2017, appendix 6.2


class Generator(nn.Module):
    """Conditions `[B,H,W,C']` to images `[B,H,W,C]`, of any height and width; without norms.

    The width is doubled at each halving. With `gated`, all convolutions but the last are gated (Yu et al. 2019), which
    helps to distinguish known pixels from holes. With `residual`, the image is the first channels of the condition
    plus the output of the network, which starts at zero and is not bounded; otherwise it is in [-1, 1]. With `filled`,
    the last channel of the condition is a mask, and the hidden pixels are filled in smoothly first. Images are padded
    by reflection to multiples of `multiple` pixels.
    """

    channels: Given[Count]
    base_width: Count = 32
    halvings: Halvings = 3
    bottom: Whole = 2  # convolutions at the smallest size
    gated: bool = False
    residual: bool = False
    filled: bool = False
    dtype: DTypeLike = jnp.float32

    scale = 1

    @property
    def multiple(self) -> int:
        """The period in pixels of the network: crops at multiples of it are processed alike."""
        return 1 << self.halvings

    @property
    def receptive_field(self) -> int | None:
        """The largest number of condition pixels, on each side of its own, that an output pixel depends on.

        None: it depends on the whole image.
        """
        if self.filled:
            return None
        return max(self._reach(pixel) for pixel in range(self.multiple))

    def _reach(self, pixel: int) -> int:
        first, last = pixel - 1, pixel + 1  # the image's convolution
        for _ in range(self.halvings):  # two convolutions after each doubling
            first, last = (first - 2) // 2, (last + 2) // 2
        first, last = first - self.bottom, last + self.bottom
        for _ in range(self.halvings):  # a halving convolution with kernel 4, and one that keeps the size
            first, last = 2 * first - 1 - 1, 2 * last + 2 + 1
        return max(pixel - (first - 1), last + 1 - pixel)  # the first convolution

    @nn.compact
    def __call__(self, condition: Array, label: Array | None = None, *, train: bool) -> Array:
        """The images; `train` makes no difference.

        Raises UserError if `residual` is set and the condition has fewer channels than the image.
        """
        del label, train
        height, width = condition.shape[1:3]
        if self.residual and condition.shape[-1] < self.channels:
            got = f"conditions of {condition.shape[-1]} channels"
            raise UserError(f"unet: got residual with {got}, expected {self.channels} or more")
        if self.filled:
            filled = fill_holes(condition[..., :-1], condition[..., -1:])
            condition = jnp.concatenate([filled, condition[..., -1:]], axis=-1)
        widths, skips = doubled(self.base_width, self.halvings), []
        x = self._convolved(padded_to(condition.astype(self.dtype), self.multiple), widths[0], "stem")
        for index in range(self.halvings):
            x = self._convolved(x, widths[index], f"keep_{index}")
            skips.append(x)
            x = self._convolved(x, widths[index + 1], f"down_{index}", kernel_size=4, stride=2, padding=1)
        for index in range(self.bottom):
            x = self._convolved(x, widths[-1], f"bottom_{index}")
        for index in reversed(range(self.halvings)):
            x = self._convolved(x, widths[index], f"up_{index}", layer=UpConv)
            x = self._convolved(jnp.concatenate([x, skips[index]], axis=-1), widths[index], f"merge_{index}")
        init = nn.initializers.zeros if self.residual else linear
        x = Conv(self.channels, kernel_init=init, dtype=self.dtype, name="image")(x)
        x = x.astype(jnp.float32)[:, :height, :width]
        if self.residual:
            return condition[..., : self.channels].astype(jnp.float32) + x
        return jnp.tanh(x)

    def _convolved(self, x: Array, width: int, name: str, layer: Any = Conv, **geometry: int) -> Array:
        """A convolution and its activation."""
        if self.gated:
            return gated(layer(2 * width, kernel_init=gated_init, dtype=self.dtype, name=name, **geometry)(x))
        return nn.leaky_relu(layer(width, kernel_init=he, dtype=self.dtype, name=name, **geometry)(x), SLOPE)


class Translator(nn.Module):
    """Conditions `[B,H,W,C']` to images `[B,H,W,C]` in [-1, 1], of any size: pix2pix's generator (appendix 6.1).

    Eight halvings reduce 256 pixels to one; images are padded by reflection to multiples of `multiple` pixels. In
    training, the first three doublings use dropout of one half if there is an rng "dropout". With norm "batch" this is
    the published network.
    """

    channels: Given[Count]
    base_width: Count = 64
    halvings: SomeHalvings = 8
    norm: Literal["instance", "batch"] = "instance"
    dtype: DTypeLike = jnp.float32

    scale = 1
    receptive_field = None  # the whole image

    @property
    def multiple(self) -> int:
        """The sides of images are padded to multiples of this many pixels."""
        return 1 << self.halvings

    @nn.compact
    def __call__(self, condition: Array, label: Array | None = None, *, train: bool) -> Array:
        """The images; `train`: with dropout and the batch's statistics."""
        del label
        height, width = condition.shape[1:3]
        widths, skips = doubled(self.base_width, self.halvings - 1), []
        x = padded_to(condition.astype(self.dtype), self.multiple)
        for index, features in enumerate(widths):
            x = nn.leaky_relu(x, SLOPE) if index else x
            down = Conv(features, 4, 2, 1, use_bias=False, kernel_init=normal, dtype=self.dtype, name=f"down_{index}")
            x = down(x)
            if 0 < index < self.halvings - 1:  # no norm of the first maps, nor of the last, which may be a single pixel
                x = normed(x, self.norm, train=train, name=f"down_{index}_norm", dtype=self.dtype)
            skips.append(x)
        still = not (train and self.has_rng("dropout"))
        for index in reversed(range(1, self.halvings)):
            init, name = normal, f"up_{index}"
            up = ConvTranspose(widths[index - 1], use_bias=False, kernel_init=init, dtype=self.dtype, name=name)
            x = normed(up(nn.relu(x)), self.norm, train=train, name=f"{name}_norm", dtype=self.dtype)
            if index >= self.halvings - DROPPED:
                x = nn.Dropout(DROPOUT, deterministic=still, name=f"{name}_dropout")(x)
            x = jnp.concatenate([x, skips[index - 1]], axis=-1)
        image = ConvTranspose(self.channels, kernel_init=normal, dtype=self.dtype, name="image")(nn.relu(x))
        return jnp.tanh(image.astype(jnp.float32))[:, :height, :width]


class Discriminator(nn.Module):
    """Images `[B,H,W,C]` of any size to a logit per pixel, `[B,H,W]`, as in Real-ESRGAN (Wang et al. 2021, 3.3).

    All convolutions but the first and the last have no bias and, with `norm` "spectral", spectral norm. Images are
    padded by reflection to sides that can be halved `halvings` times.
    """

    base_width: Count = 64
    halvings: Halvings = 3
    norm: Literal["spectral", "none"] = "spectral"
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, image: Array, label: Array | None = None, *, train: bool) -> Judgement:
        """The logits, and the maps on the way down and up as features."""
        del label
        height, width = image.shape[1:3]
        widths = doubled(self.base_width, self.halvings)
        stem = Conv(widths[0], kernel_init=he, dtype=self.dtype, name="stem")
        x = nn.leaky_relu(stem(padded_to(image.astype(self.dtype), 1 << self.halvings)), SLOPE)
        features = [x]
        for index in range(self.halvings):
            x = self._convolved(x, widths[index + 1], f"down_{index}", train, kernel_size=4, stride=2, padding=1)
            features.append(x)
        for index in reversed(range(self.halvings)):
            x = self._convolved(bilinear_upsample(x), widths[index], f"up_{index}", train) + features[index]
            features.append(x)
        for index in range(2):
            x = self._convolved(x, widths[0], f"last_{index}", train)
        logits = Conv(1, kernel_init=linear, dtype=self.dtype, name="logits")(x)[:, :height, :width, 0]
        return Judgement(logits=logits.astype(jnp.float32), features=tuple(features))

    def _convolved(self, x: Array, width: int, name: str, train: bool, **geometry: int) -> Array:
        conv = Conv(width, use_bias=False, kernel_init=he, dtype=self.dtype, name=name, **geometry)
        return nn.leaky_relu(spectral_norm(conv, x, train=train, wanted=self.norm == "spectral"), SLOPE)


def doubled(base_width: int, halvings: int) -> tuple[int, ...]:
    """The channels at full size and after each halving: doubled each time, up to eight times the base width."""
    return tuple(min(base_width << index, WIDEST * base_width) for index in range(halvings + 1))

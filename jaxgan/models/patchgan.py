"""PatchGAN discriminators: that of pix2pix for images (Isola et al. 2017, section 3.2.2), and one for clips."""

from __future__ import annotations

from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxgan.config.domains import Count, Halvings
from jaxgan.game import Array, Judgement
from jaxgan.layers.conv import Conv
from jaxgan.layers.instance_norm import normed
from jaxgan.layers.spectral import spectral_norm
from jaxgan.layers.temporal import TimeConv

KERNEL = 4  # pixels
FRAMES = 3  # kernel size along time
SLOPE = 0.2  # of LeakyReLU
WIDEST = 8  # times the base width

normal = nn.initializers.normal(0.02)  # Isola et al. 2017, appendix 6.2; so small that it requires norms
he = nn.initializers.variance_scaling(2 / (1 + SLOPE**2), "fan_in", "normal")


class Discriminator(nn.Module):
    """Images `[B,H,W,C]` of any size to a map of logits `[B,h,w]`, one for each patch of `patch_size` pixels.

    The width is doubled at each halving; one more convolution and that of the logits each reduce the size by one
    pixel. With three halvings a patch has 70 pixels, as published (with norm "batch"); with one, 16. An image too small
    for one patch is padded with zeros.
    """

    base_width: Count = 64
    halvings: Halvings = 3
    norm: Literal["instance", "none", "batch", "spectral"] = "instance"
    dtype: DTypeLike = jnp.float32

    @property
    def patch_size(self) -> int:
        """The side in pixels of the square that a logit depends on, apart from the statistics of instance norms."""
        size = 1
        for stride in (1, 1, *(2,) * self.halvings):  # from the last convolution to the first
            size = (size - 1) * stride + KERNEL
        return size

    @nn.compact
    def __call__(self, image: Array, label: Array | None = None, *, train: bool) -> Judgement:
        """The logits, and the maps after each earlier convolution as features."""
        del label
        x = _bordered(image.astype(self.dtype), 3 << self.halvings)
        bare, spectral, features = self.norm in ("none", "spectral"), self.norm == "spectral", []
        layer: dict[str, Any] = {"padding": 1, "kernel_init": he if bare else normal, "dtype": self.dtype}
        for index in range(self.halvings + 1):
            conv = Conv(
                min(self.base_width << index, WIDEST * self.base_width),
                KERNEL,
                stride=2 if index < self.halvings else 1,
                use_bias=bare or index == 0,
                name=f"conv_{index}",
                **layer,
            )
            x = spectral_norm(conv, x, train=train, wanted=spectral)
            if index > 0:  # the first convolution has no norm
                x = normed(x, self.norm, train=train, name=f"norm_{index}", dtype=self.dtype)
            x = nn.leaky_relu(x, SLOPE)
            features.append(x)
        logits = spectral_norm(Conv(1, KERNEL, name="logits", **layer), x, train=train, wanted=spectral)
        return Judgement(logits=logits[..., 0].astype(jnp.float32), features=tuple(features))


class ClipDiscriminator(nn.Module):
    """Clips `[B,T,H,W,C]` of any size to a map of logits `[B,T,h,w]`, one for each patch of pixels and frames.

    The Temporal PatchGAN of video inpainting (Chang et al. 2019) with factorised 3-D convolutions (Tran et al. 2018):
    the convolutions of `Discriminator` on each frame, each but the last followed by one along three frames. With three
    halvings a patch has 70 pixels and 9 frames; clips are padded with zeros in time.
    """

    base_width: Count = 32
    halvings: Halvings = 3
    norm: Literal["spectral", "none"] = "spectral"
    dtype: DTypeLike = jnp.float32

    clips = True

    @nn.compact
    def __call__(self, image: Array, label: Array | None = None, *, train: bool) -> Judgement:
        """The logits, and the maps after each convolution along time as features."""
        del label
        layer: dict[str, Any] = {"kernel_init": he, "dtype": self.dtype}

        def convolved(layer: nn.Module, x: Array) -> Array:
            return spectral_norm(layer, x, train=train, wanted=self.norm == "spectral")

        x, features = _bordered(image.astype(self.dtype), 3 << self.halvings), []
        for index in range(self.halvings + 1):
            width, stride = min(self.base_width << index, WIDEST * self.base_width), 2 if index < self.halvings else 1
            space = Conv(width, KERNEL, stride, padding=1, name=f"space_{index}", **layer)
            x = nn.leaky_relu(convolved(space, x), SLOPE)
            x = nn.leaky_relu(convolved(TimeConv(width, FRAMES, name=f"time_{index}", **layer), x), SLOPE)
            features.append(x)
        logits = convolved(Conv(1, KERNEL, padding=1, name="logits", **layer), x)
        return Judgement(logits=logits[..., 0].astype(jnp.float32), features=tuple(features))


def _bordered(x: Array, least: int) -> Array:
    """x, padded with zeros on both ends of each side that is shorter than `least` pixels."""
    missing = [max(0, least - length) for length in x.shape[-3:-1]]
    sides = [(each // 2, each - each // 2) for each in missing]
    return jnp.pad(x, (*((0, 0),) * (x.ndim - 3), *sides, (0, 0))) if any(missing) else x

"""SNGAN's residual networks (Miyato et al. 2018, tables 3 to 5), for power-of-two resolutions and for 48 pixels.

With labels, they follow Miyato & Koyama 2018: class-conditional batch norm and a projection discriminator.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxgan.config.domains import Count, Given, Whole
from jaxgan.errors import UserError
from jaxgan.game import Array, Judgement
from jaxgan.layers.conv import Conv
from jaxgan.layers.frames import Meet, apart
from jaxgan.layers.heads import judge, with_label_plane
from jaxgan.layers.labels import sizes, taken, with_embedding
from jaxgan.layers.normalization import BatchNorm
from jaxgan.layers.residual import DownBlock, UpBlock

SMALL = 32  # resolution up to which all blocks have the same width and the discriminator halves only to 8 pixels
WIDEST = 16  # times the base width

glorot = nn.initializers.glorot_uniform()
glorot_relu = nn.initializers.variance_scaling(2.0, "fan_avg", "uniform")  # before a ReLU, which halves the variance


class Generator(nn.Module):
    """Latents `[B,Z]` (and labels `[B]`) to images `[B,R,R,C]` in [-1, 1].

    `widths` are the channels of the blocks, which end at 8, 16, ... pixels; the first is also the width at 4 pixels.
    Each class has its own gains and biases in the norms ("norm"), or an embedding is concatenated to the latent
    ("concat").
    """

    resolution: Given[Count]
    channels: Given[Count]
    num_classes: Given[Whole] = 0
    conditioning: Literal["norm", "concat"] = "norm"
    condition_dim: Given[Whole] = 0  # length of the vectors that replace labels; 0: none
    widths: Sequence[Count] | None = None  # None: as published, from `base_width`
    base_width: Count = 64  # of the last block; up to 32 pixels, a quarter of the width of all blocks
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, latent: Array, label: Array | None = None, *, train: bool) -> Array:
        """The images; `train`: uses the statistics of the batch."""
        stem, *widths = generator_widths(self.resolution, self.widths, self.base_width)
        start = start_of(self.resolution)
        x, condition = latent.astype(self.dtype), taken(self, label)
        if condition is not None and self.conditioning == "concat":
            x, condition = with_embedding(x, condition, dtype=self.dtype, **sizes(self)), None
        x = nn.Dense(start**2 * stem, kernel_init=glorot, dtype=self.dtype, name="stem")(x)
        x = x.reshape(-1, start, start, stem)
        for index, width in enumerate(widths):
            block = UpBlock(
                width,
                num_classes=self.num_classes,
                kernel_init=glorot_relu,
                shortcut_init=glorot,
                dtype=self.dtype,
                name=f"block_{index}",
            )
            x = block(x, condition, train=train)
        x = nn.relu(BatchNorm(dtype=self.dtype, name="norm")(x, train=train))
        x = Conv(self.channels, kernel_init=glorot, dtype=self.dtype, name="image")(x)
        return jnp.tanh(x.astype(jnp.float32))


class Discriminator(nn.Module):
    """Images `[B,R,R,C]` (and labels `[B]`) to one logit each.

    `widths` are the channels of the blocks. The first blocks halve the image, down to 4 pixels if there are enough of
    them; the others keep its size. Labels enter by projection, as a learned plane concatenated to the image
    ("concat"), or are predicted by an extra head ("classifier").
    """

    resolution: Given[Count]
    num_classes: Given[Whole] = 0
    conditioning: Literal["projection", "concat", "classifier"] = "projection"
    condition_dim: Given[Whole] = 0  # length of the vectors that replace labels; 0: none
    widths: Sequence[Count] | None = None  # None: as published, from `base_width`
    base_width: Count = 64  # of the first block; up to 32 pixels, half the width of all blocks
    norm: Literal["spectral", "none"] = "spectral"
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, image: Array, label: Array | None = None, *, train: bool, meet: Meet = apart) -> Judgement:
        """Logits `[B]` and the features `[B,F]`, summed over pixels; `meet` is applied after each block."""
        widths, halvings = discriminator_widths(self.resolution, self.widths, self.base_width)
        x, spectral = image.astype(self.dtype), self.norm == "spectral"
        label = taken(self, label, needed=self.conditioning != "classifier")
        if label is not None and self.conditioning == "concat":
            x = with_label_plane(x, label, dtype=self.dtype, **sizes(self))
        for index, width in enumerate(widths):
            block = DownBlock(
                width,
                hidden=width if index == 0 else None,
                halves=index < halvings,
                first=index == 0,
                spectral=spectral,
                kernel_init=glorot_relu,
                shortcut_init=glorot,
                dtype=self.dtype,
                name=f"block_{index}",
            )
            x = meet(block(x, train=train))
        return judge(
            nn.relu(x).sum(axis=(1, 2)),
            label,
            conditioning=self.conditioning,
            train=train,
            spectral=spectral,
            kernel_init=glorot,
            dtype=self.dtype,
            **sizes(self),
        )


def start_of(resolution: int) -> int:
    """The pixels at which a generator starts: 4, or 6 for 12, 24, 48, ... Raises UserError for other resolutions."""
    for start in (4, 6):
        doublings = (resolution // start).bit_length() - 1
        if doublings > 0 and resolution == start << doublings:
            return start
    raise UserError(f"resnet: got resolution {resolution}, expected a power of two of at least 8, or 12, 24, 48, ...")


def generator_widths(resolution: int, widths: Sequence[int] | None, base_width: int) -> tuple[int, ...]:
    """The channels at the start and after each doubling. Raises UserError if resolution and widths do not fit."""
    doublings = _doublings(resolution)
    if widths is not None:
        if len(widths) != doublings:
            raise UserError(f"resnet: got {len(widths)} widths, expected {doublings} at resolution {resolution}")
        return (widths[0], *widths)
    if resolution <= SMALL:
        return (4 * base_width,) * (doublings + 1)
    growing = (min(base_width << index, WIDEST * base_width) for index in range(doublings + 1))
    return tuple(growing)[::-1]


def discriminator_widths(resolution: int, widths: Sequence[int] | None, base_width: int) -> tuple[tuple[int, ...], int]:
    """The channels of the blocks, and how many of them halve. Raises UserError if widths do not fit."""
    doublings = _doublings(resolution)
    if widths is not None:
        if not widths:
            raise UserError("resnet: got no widths, expected one or more")
        return tuple(widths), min(len(widths), doublings)
    if resolution <= SMALL:
        halvings = max(1, doublings - 1)
        return (2 * base_width,) * (halvings + 2), halvings
    halvings = doublings + (start_of(resolution) == 6)  # 48 pixels go down to 3
    growing = (min(base_width << index, WIDEST * base_width) for index in range(halvings + 1))
    return tuple(growing), halvings


def _doublings(resolution: int) -> int:
    return (resolution // start_of(resolution)).bit_length() - 1

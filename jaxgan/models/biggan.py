"""BigGAN (Brock et al. 2019, appendix B), with class labels or without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxgan.config.domains import Count, Given, Whole
from jaxgan.errors import UserError
from jaxgan.game import Array, Judgement
from jaxgan.layers.attention import SelfAttention
from jaxgan.layers.conv import Conv
from jaxgan.layers.frames import Meet, apart
from jaxgan.layers.heads import judge, with_label_plane
from jaxgan.layers.labels import Embedding, sizes, taken
from jaxgan.layers.normalization import BatchNorm
from jaxgan.layers.residual import DownBlock, UpBlock
from jaxgan.layers.spectral import spectral_norm

START = 4  # pixels of the smallest image
ATTENTION = 64  # pixels

# widths as multiples of the base width, by resolution (tables 4 and 7 to 9)
# one block for each doubling, from 4 pixels
GENERATOR = {
    64: (16, 8, 4, 2),
    128: (16, 8, 4, 2, 1),
    256: (16, 8, 8, 4, 2, 1),
    512: (16, 8, 8, 4, 2, 1, 1),
}
# one block for each halving down to 4 pixels, and one more
DISCRIMINATOR = {
    64: (1, 2, 4, 8, 16),
    128: (1, 2, 4, 8, 16, 16),
    256: (1, 2, 4, 8, 8, 16, 16),
    512: (1, 1, 2, 4, 8, 8, 16, 16),
}
# width of all blocks at resolutions up to 32, at which the discriminator halves to 8 pixels and adds two more blocks
SMALL = 4

orthogonal = nn.initializers.orthogonal()


class Generator(nn.Module):
    """Latents `[B,Z]` (and labels `[B]`) to images `[B,R,R,C]` in [-1, 1].

    The latent is split into one chunk for the stem and one for each block, whose norms compute their gains and biases
    from it. A label embedding, shared by all blocks, is concatenated to each block's chunk ("norm"), or to the stem's
    chunk only ("concat"). `widths` are the channels of the blocks; the first is also the width at 4 pixels. All
    weights, including the embedding, are initialised orthogonal (Saxe et al. 2014).
    """

    resolution: Given[Count]
    channels: Given[Count]
    num_classes: Given[Whole] = 0
    conditioning: Literal["norm", "concat"] = "norm"
    condition_dim: Given[Whole] = 0  # length of the vectors that replace labels; 0: none
    widths: Sequence[Count] | None = None  # None: as published, from `base_width`
    base_width: Count = 96
    embedding_dim: Count = 128  # of a class or a vector
    attention: Whole = ATTENTION  # pixels at which self-attention is applied, if a block but the last ends there
    spectral: bool = True
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, latent: Array, label: Array | None = None, *, train: bool) -> Array:
        """The images; `train`: uses the statistics of the batch. Raises UserError for a latent too short to split."""
        widths = generator_widths(self.resolution, self.widths, self.base_width)
        start, *chunks = _chunks(latent.astype(self.dtype), len(widths) + 1)
        label = taken(self, label)
        if label is not None:
            embedding = Embedding(
                features=self.embedding_dim, table_init=orthogonal, dtype=self.dtype, name="label", **sizes(self)
            )
            embedded = embedding(label)
            if self.conditioning == "norm":
                chunks = [jnp.concatenate([embedded, chunk], axis=-1) for chunk in chunks]
            else:
                start = jnp.concatenate([start, embedded], axis=-1)
        stem = nn.Dense(START**2 * widths[0], kernel_init=orthogonal, dtype=self.dtype, name="stem")
        x = spectral_norm(stem, start, train=train, wanted=self.spectral).reshape(-1, START, START, widths[0])
        shared = {"spectral": self.spectral, "kernel_init": orthogonal, "dtype": self.dtype}
        for index, (width, chunk) in enumerate(zip(widths, chunks)):
            block = UpBlock(width, shortcut_init=orthogonal, name=f"block_{index}", **shared)
            x = block(x, chunk, train=train)
            if x.shape[1] == self.attention < self.resolution:
                x = SelfAttention(name="attention", **shared)(x, train=train)
        x = nn.relu(BatchNorm(dtype=self.dtype, name="norm")(x, train=train))
        image = Conv(self.channels, kernel_init=orthogonal, dtype=self.dtype, name="image")
        return jnp.tanh(spectral_norm(image, x, train=train, wanted=self.spectral).astype(jnp.float32))


class Discriminator(nn.Module):
    """Images `[B,R,R,C]` (and labels `[B]`) to one logit each.

    `widths` are the channels of the blocks. The first blocks halve the image, down to 4 pixels if there are enough of
    them; the others keep its size. Labels enter by projection, as a learned plane concatenated to the image
    ("concat"), or are predicted by an extra head ("classifier"). All weights but the plane's are initialised
    orthogonal.
    """

    resolution: Given[Count]
    num_classes: Given[Whole] = 0
    conditioning: Literal["projection", "concat", "classifier"] = "projection"
    condition_dim: Given[Whole] = 0  # length of the vectors that replace labels; 0: none
    widths: Sequence[Count] | None = None  # None: as published, from `base_width`
    base_width: Count = 96
    attention: Whole = ATTENTION  # pixels at which self-attention is applied, if a block ends there
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
        shared = {"spectral": spectral, "kernel_init": orthogonal, "dtype": self.dtype}
        for index, width in enumerate(widths):
            block = DownBlock(
                width,
                hidden=width,
                halves=index < halvings,
                first=index == 0,
                shortcut_init=orthogonal,
                name=f"block_{index}",
                **shared,
            )
            x = block(x, train=train)
            if index < halvings and x.shape[1] == self.attention:
                x = SelfAttention(name="attention", **shared)(x, train=train)
            x = meet(x)
        return judge(
            nn.relu(x).sum(axis=(1, 2)),
            label,
            conditioning=self.conditioning,
            train=train,
            table_init=orthogonal,
            **sizes(self),
            **shared,
        )


def generator_widths(resolution: int, widths: Sequence[int] | None, base_width: int) -> tuple[int, ...]:
    """The channels after each doubling. Raises UserError if resolution and widths do not fit."""
    doublings = _doublings(resolution)
    if widths is None:
        return tuple(base_width * times for times in GENERATOR.get(resolution, (SMALL,) * doublings))
    if len(widths) != doublings:
        raise UserError(f"biggan: got {len(widths)} widths, expected {doublings} at resolution {resolution}")
    return tuple(widths)


def discriminator_widths(resolution: int, widths: Sequence[int] | None, base_width: int) -> tuple[tuple[int, ...], int]:
    """The channels of the blocks, and how many of them halve. Raises UserError if resolution and widths do not fit."""
    doublings = _doublings(resolution)
    if widths is not None:
        if not widths:
            raise UserError("biggan: got no widths, expected one or more")
        return tuple(widths), min(len(widths), doublings)
    if resolution in DISCRIMINATOR:
        return tuple(base_width * times for times in DISCRIMINATOR[resolution]), doublings
    halvings = max(1, doublings - 1)
    return (base_width * SMALL,) * (halvings + 2), halvings


def _doublings(resolution: int) -> int:
    doublings = resolution.bit_length() - START.bit_length()
    if not 8 <= resolution <= 512 or resolution != START << doublings:
        raise UserError(f"biggan: got resolution {resolution}, expected a power of two from 8 to 512")
    return doublings


def _chunks(latent: Array, count: int) -> list[Array]:
    """The latent split into equal chunks; the first also gets the remainder."""
    size = latent.shape[-1] // count
    if size == 0:
        raise UserError(f"biggan: got latent_dim {latent.shape[-1]}, expected {count} or more at this resolution")
    return jnp.split(latent, [latent.shape[-1] - size * each for each in range(count - 1, 0, -1)], axis=-1)

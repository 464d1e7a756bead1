"""DCGAN (Radford et al. 2015) for any power-of-two resolution, with or without class labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxgan.config.domains import Count, Given, Whole
from jaxgan.errors import UserError
from jaxgan.game import Array, Judgement
from jaxgan.layers.conv import Conv, ConvTranspose
from jaxgan.layers.frames import Meet, apart
from jaxgan.layers.heads import judge, with_label_plane
from jaxgan.layers.labels import sizes, taken, with_embedding
from jaxgan.layers.minibatch_stddev import minibatch_stddev
from jaxgan.layers.normalization import BatchNorm, batch_norm
from jaxgan.layers.spectral import spectral_norm

SLOPE = 0.2  # of LeakyReLU
START = 4  # pixels of the smallest image

GAIN = 2 / (1 + SLOPE**2)  # of the variance, to compensate for LeakyReLU (He et al. 2015, eq. 10 and 15)

normal = nn.initializers.normal(0.02)  # Radford et al. 2015, section 4; so small that it requires norms
# these keep the variance without norms; at stride 2 only a quarter of a transposed kernel's taps reach a pixel
he = nn.initializers.variance_scaling(GAIN, "fan_in", "normal")
he_up = nn.initializers.variance_scaling(4 * GAIN, "fan_in", "normal", in_axis=-1, out_axis=-2)


class Generator(nn.Module):
    """Latents `[B,Z]` (and labels `[B]`) to images `[B,R,R,C]` in [-1, 1].

    `widths` are the channels at 4, 8, ... pixels, up to half the resolution. Labels are concatenated to the latent
    as an embedding of unit variance ("concat"), or each class has its own gains and biases in the norms ("norm").
    """

    resolution: Given[Count]
    channels: Given[Count]
    num_classes: Given[Whole] = 0
    conditioning: Literal["concat", "norm"] = "concat"
    condition_dim: Given[Whole] = 0  # length of the vectors that replace labels; 0: none
    widths: Sequence[Count] | None = None  # None: halved at each doubling, ending with `base_width`
    base_width: Count = 64
    norm: Literal["batch", "none"] = "batch"
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, latent: Array, label: Array | None = None, *, train: bool) -> Array:
        """The images; `train`: uses the statistics of the batch.

        Raises UserError for conditioning "norm" without batch norm.
        """
        label = taken(self, label)
        by_norm = label is not None and self.conditioning == "norm"
        if by_norm and self.norm != "batch":
            raise UserError(f"dcgan: got norm {self.norm!r} with conditioning 'norm', expected 'batch'")
        widths = stage_widths(self.resolution, self.widths, self.base_width, widest_first=True)
        x = latent.astype(self.dtype)
        if label is not None and not by_norm:
            x = with_embedding(x, label, dtype=self.dtype, **sizes(self))
        bare = self.norm == "none"
        init = he if bare else normal
        x = nn.Dense(START**2 * widths[0], use_bias=bare, kernel_init=init, dtype=self.dtype, name="stem")(x)
        x = x.reshape(-1, START, START, widths[0])
        for index, width in enumerate((*widths[1:], self.channels)):
            if bare:
                x = nn.leaky_relu(x, SLOPE)
            else:
                classes, condition = self.num_classes, label if by_norm else None
                name = f"norm_{index}"
                x = batch_norm(x, condition, train=train, name=name, num_classes=classes, dtype=self.dtype)
                x = nn.relu(x)
            last = index == len(widths) - 1
            up = ConvTranspose(
                width,
                use_bias=bare or last,
                kernel_init=he_up if bare else normal,
                dtype=self.dtype,
                name=f"up_{index}",
            )
            x = up(x)
        return jnp.tanh(x.astype(jnp.float32))


class Discriminator(nn.Module):
    """Images `[B,R,R,C]` (and labels `[B]`) to one logit each.

    `widths` are the channels from half the resolution down to 4 pixels. Labels enter by projection, as a learned plane
    concatenated to the image ("concat"), or are predicted by an extra head ("classifier").
    """

    resolution: Given[Count]
    num_classes: Given[Whole] = 0
    conditioning: Literal["projection", "concat", "classifier"] = "projection"
    condition_dim: Given[Whole] = 0  # length of the vectors that replace labels; 0: none
    widths: Sequence[Count] | None = None  # None: doubled at each halving, from `base_width`
    base_width: Count = 64
    norm: Literal["batch", "spectral", "none"] = "batch"
    stddev: bool = False  # minibatch standard deviation before the head
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, image: Array, label: Array | None = None, *, train: bool, meet: Meet = apart) -> Judgement:
        """Logits `[B]` and the last features `[B,F]`; `meet` is applied after each stage."""
        widths = stage_widths(self.resolution, self.widths, self.base_width, widest_first=False)
        x, spectral = image.astype(self.dtype), self.norm == "spectral"
        label = taken(self, label, needed=self.conditioning != "classifier")
        if label is not None and self.conditioning == "concat":
            x = with_label_plane(x, label, dtype=self.dtype, **sizes(self))
        for index, width in enumerate(widths):
            normed = self.norm == "batch" and index > 0  # not the image itself (Radford et al. 2015, section 3)
            init = normal if self.norm == "batch" else he
            down = Conv(
                width,
                4,
                stride=2,
                padding=1,
                use_bias=not normed,
                kernel_init=init,
                dtype=self.dtype,
                name=f"down_{index}",
            )
            x = spectral_norm(down, x, train=train, wanted=spectral)
            if normed:
                x = BatchNorm(dtype=self.dtype, name=f"norm_{index}")(x, train=train)
            x = meet(nn.leaky_relu(x, SLOPE))
        if self.stddev:
            x = minibatch_stddev(x)
        return judge(
            x.reshape(x.shape[0], -1),
            label,
            conditioning=self.conditioning,
            train=train,
            projected=x.shape[-1],
            spectral=spectral,
            dtype=self.dtype,
            **sizes(self),
        )


def stage_widths(
    resolution: int, widths: Sequence[int] | None, base_width: int, *, widest_first: bool
) -> tuple[int, ...]:
    """The widths of the stages between 4 pixels and the resolution.

    Raises UserError for a resolution that is not a power of two of at least 8, or unless there is one width for each
    stage.
    """
    stages = resolution.bit_length() - START.bit_length()
    if resolution != START << max(stages, 1):
        raise UserError(f"dcgan: got resolution {resolution}, expected a power of two of at least 8")
    if widths is None:
        growing = tuple(base_width << index for index in range(stages))
        return growing[::-1] if widest_first else growing
    if len(widths) != stages:
        raise UserError(f"dcgan: got {len(widths)} widths, expected {stages} at resolution {resolution}")
    return tuple(widths)

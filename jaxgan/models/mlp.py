"""The classic GAN of fully connected layers (Goodfellow et al. 2014)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxgan.config.domains import Count, Given, Whole
from jaxgan.errors import UserError
from jaxgan.game import Array, Judgement
from jaxgan.layers.heads import judge
from jaxgan.layers.labels import sizes, taken, with_embedding

SLOPE = 0.2  # of LeakyReLU

# uniform in +-1/sqrt(fan_in), as in the classic example
uniform = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


class Generator(nn.Module):
    """Latents `[B,Z]` (and labels `[B]`) to images `[B,R,R,C]` in [-1, 1]."""

    resolution: Given[Count]
    channels: Given[Count]
    num_classes: Given[Whole] = 0
    conditioning: Literal["concat"] = "concat"  # concatenates an embedding of the label to the latent
    condition_dim: Given[Whole] = 0  # length of the vectors that replace labels; 0: none
    widths: Sequence[Count] = (256, 512, 1024)
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, latent: Array, label: Array | None = None, *, train: bool = False) -> Array:
        """The images; there are no statistics, so `train` changes nothing."""
        del train
        x, label = latent.astype(self.dtype), taken(self, label)
        if label is not None:
            if self.conditioning != "concat":
                raise UserError(f"mlp: got conditioning {self.conditioning!r}, expected 'concat' for the generator")
            x = with_embedding(x, label, dtype=self.dtype, **sizes(self))
        for index, width in enumerate(self.widths):
            x = nn.leaky_relu(_dense(self, width, f"dense_{index}")(x), SLOPE)
        x = jnp.tanh(_dense(self, self.resolution**2 * self.channels, "image")(x).astype(jnp.float32))
        return x.reshape(-1, self.resolution, self.resolution, self.channels)


class Discriminator(nn.Module):
    """Images `[B,R,R,C]` (and labels `[B]`) to one logit each; the sigmoid is part of the loss.

    An embedding of the label is concatenated to the pixels ("concat"), or the label is predicted by an extra head
    ("classifier").
    """

    num_classes: Given[Whole] = 0
    conditioning: Literal["concat", "classifier"] = "concat"
    condition_dim: Given[Whole] = 0  # length of the vectors that replace labels; 0: none
    widths: Sequence[Count] = (1024, 512, 256)
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, image: Array, label: Array | None = None, *, train: bool = False) -> Judgement:
        """Logits `[B]` and the last features `[B,F]`."""
        label = taken(self, label, needed=self.conditioning != "classifier")
        if label is not None and self.conditioning == "projection":
            raise UserError(
                "mlp: got conditioning 'projection', expected 'concat' or 'classifier' for the discriminator"
            )
        x = image.reshape(image.shape[0], -1).astype(self.dtype)
        if label is not None and self.conditioning == "concat":
            x = with_embedding(x, label, features=self.widths[-1], dtype=self.dtype, **sizes(self))
        for index, width in enumerate(self.widths):
            x = nn.leaky_relu(_dense(self, width, f"dense_{index}")(x), SLOPE)
        return judge(
            x,
            label,
            conditioning=self.conditioning,
            train=train,
            kernel_init=uniform,
            dtype=self.dtype,
            **sizes(self),
        )


def _dense(module: Generator | Discriminator, features: int, name: str) -> nn.Dense:
    return nn.Dense(features, kernel_init=uniform, dtype=module.dtype, name=name)

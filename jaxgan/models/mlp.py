"""The classic GAN of fully connected layers (Goodfellow et al. 2014)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxgan.game import Array, Judgement
from jaxgan.layers.labels import Embedding

SLOPE = 0.2  # of LeakyReLU

# uniform in +-1/sqrt(fan_in), as the classic example starts
uniform = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


class Generator(nn.Module):
    """Latents `[B,Z]` (and labels `[B]`) to images `[B,R,R,C]` in [-1, 1]."""

    resolution: int
    channels: int
    num_classes: int = 0  # above 0: an embedding of the label stands beside the latent
    widths: Sequence[int] = (256, 512, 1024)
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, latent: Array, label: Array | None = None, *, train: bool = False) -> Array:
        """The images; there are no statistics, so `train` changes nothing."""
        del train
        x = latent.astype(self.dtype)
        if self.num_classes:
            embedded = Embedding(self.num_classes, x.shape[-1], dtype=self.dtype, name="label")(label)
            x = jnp.concatenate([x, embedded], axis=-1)
        for index, width in enumerate(self.widths):
            x = nn.leaky_relu(_dense(self, width, f"dense_{index}")(x), SLOPE)
        x = jnp.tanh(_dense(self, self.resolution**2 * self.channels, "image")(x).astype(jnp.float32))
        return x.reshape(-1, self.resolution, self.resolution, self.channels)


class Discriminator(nn.Module):
    """Images `[B,R,R,C]` (and labels `[B]`) to one logit each; the sigmoid lives in the loss."""

    num_classes: int = 0  # above 0: an embedding of the label stands beside the pixels
    widths: Sequence[int] = (1024, 512, 256)
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, image: Array, label: Array | None = None, *, train: bool = False) -> Judgement:
        """Logits `[B]` and the last features `[B,F]`."""
        del train
        x = image.reshape(image.shape[0], -1).astype(self.dtype)
        if self.num_classes:
            embedded = Embedding(self.num_classes, self.widths[-1], dtype=self.dtype, name="label")(label)
            x = jnp.concatenate([x, embedded], axis=-1)
        for index, width in enumerate(self.widths):
            x = nn.leaky_relu(_dense(self, width, f"dense_{index}")(x), SLOPE)
        logits = _dense(self, 1, "logit")(x)[:, 0].astype(jnp.float32)
        return Judgement(logits=logits, features=x)


def _dense(module: Any, features: int, name: str) -> Any:
    return nn.Dense(features, kernel_init=uniform, dtype=module.dtype, name=name)

"""Images from texts: digits with captions, a conditional generator, and a discriminator of images and texts."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.building.opening import open_source
from jaxgan.config.domains import Count, Given
from jaxgan.config.run import DataConfig
from jaxgan.data.sources import DataSpec
from jaxgan.fields import Field, tokens_of
from jaxgan.game import Judgement

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
WORDS = ("", "a", "an", "thin", "bold", *DIGITS)  # the first one is padding
LENGTH = 4


class Captions:
    """jaxgan_digits, each with a caption such as "a bold seven": `{image, caption}`."""

    spec: DataSpec

    def __init__(self, config: Given[DataConfig], split: Given[str], bold: Count = 40):
        """`bold`: the mean pixel value from which a digit counts as bold."""
        config = dataclasses.replace(config, name="jaxgan_digits", source={})
        self._digits, self._bold = open_source(config, split), bold
        caption = Field((LENGTH,), "int32", "tokens", WORDS)
        fields = {"image": self._digits.spec.image, "caption": caption}
        self.spec = dataclasses.replace(self._digits.spec, name="captions", fields=fields)

    def read(self, indices: Sequence[int] | np.ndarray) -> dict[str, np.ndarray]:
        """The digits at these indices and their captions."""
        read = self._digits.read(indices)
        strokes = np.where(read["image"].mean(axis=(1, 2, 3)) < self._bold, "thin", "bold")
        texts = [f"a {stroke} {DIGITS[label]}" for stroke, label in zip(strokes, read["label"])]
        tokens = [tokens_of(text, self.spec.fields["caption"]) for text in texts]
        return {"image": read["image"], "caption": np.asarray(tokens, np.int32)}


class Reader(nn.Module):
    """Tokens [B,L] -> vectors [B,width], with position-dependent embeddings."""

    vocabulary: int
    width: int

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        """The vectors."""
        words = nn.Embed(self.vocabulary, self.width, name="words")(tokens)
        return nn.leaky_relu(nn.Dense(self.width, name="places")(words.reshape(tokens.shape[0], -1)), 0.2)


class Painter(nn.Module):
    """Latents [B,Z] and captions [B,L] -> images [B,H,W,C] in [-1, 1]."""

    resolution: Given[Count]
    channels: Given[Count]
    vocabulary: Given[Count]
    length: Given[Count]
    width: Count = 32

    @nn.compact
    def __call__(self, latent: jax.Array, caption: jax.Array, *, train: bool = False) -> jax.Array:
        """The images."""
        text, side = Reader(self.vocabulary, self.width, name="reader")(caption), self.resolution
        x = nn.leaky_relu(nn.Dense(4 * self.width, name="dense")(jnp.concatenate([latent, text], axis=-1)), 0.2)
        return nn.tanh(nn.Dense(side * side * self.channels, name="pixels")(x)).reshape(-1, side, side, self.channels)


class Critic(nn.Module):
    """Images and captions -> logits [B]: how real the images are, and how well the captions match."""

    vocabulary: Given[Count]
    width: Count = 32

    @nn.compact
    def __call__(self, image: jax.Array, caption: jax.Array, *, train: bool = False) -> Judgement:
        """The judgement."""
        features = nn.leaky_relu(nn.Dense(self.width, name="dense")(image.reshape(image.shape[0], -1)), 0.2)
        text = Reader(self.vocabulary, self.width, name="reader")(caption)
        return Judgement(nn.Dense(1, name="logit")(features)[:, 0] + (features * text).sum(axis=-1))

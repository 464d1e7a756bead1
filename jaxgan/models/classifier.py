"""A small convolutional classifier, whose last activations serve as features for scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
from flax import linen as nn

from jaxgan.domains import Count, Whole

Array = jax.Array

LARGEST = 64  # pixels: larger images are reduced to this first, so that the cost is bounded
SMALLEST = 8  # pixels: convolutions halve the image until it is at most this


class Classification(NamedTuple):
    """Logits `[B,K]`, the hidden layer `[B,D]` under them, and the mean of the last convolution `[B,W]`.

    The hidden layer knows what an image shows and is blind to what does not matter for that: noise
    can look like a digit to it. The mean of the convolution knows textures.
    """

    logits: Any
    hidden: Any
    texture: Any


class Classifier(nn.Module):
    """Strided convolutions down to 8 pixels or fewer, one hidden layer, one linear layer."""

    num_classes: Whole
    widths: Sequence[Count] = (16, 32)  # by halving; the last for all further ones
    hidden: Count = 64

    @nn.compact
    def __call__(self, image: Array) -> Classification:
        """Classify images `[B,H,W,C]` in [-1, 1] of any size."""
        x = reduced(image)
        stage = 0
        while max(x.shape[1:3]) > SMALLEST:
            width = self.widths[min(stage, len(self.widths) - 1)]
            x = nn.relu(nn.Conv(width, (4, 4), strides=2, name=f"conv{stage}")(x))
            stage += 1
        texture = x.mean(axis=(1, 2))
        hidden = nn.relu(nn.Dense(self.hidden, name="hidden")(x.reshape(x.shape[0], -1)))
        return Classification(nn.Dense(self.num_classes, name="logits")(hidden), hidden, texture)


def reduced(image: Array) -> Array:
    """Images `[B,H,W,C]` with at most 64 pixels a side: larger ones are interpolated with antialiasing."""
    scale = LARGEST / max(image.shape[1:3])
    if scale >= 1:
        return image
    height, width = (max(1, round(size * scale)) for size in image.shape[1:3])
    return jax.image.resize(image, (image.shape[0], height, width, image.shape[3]), "linear", antialias=True)

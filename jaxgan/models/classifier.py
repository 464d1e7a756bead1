"""A small convolutional classifier of images or clips, whose last activations serve as features for scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgan.domains import Count, Whole
from jaxgan.layers.temporal import TimeConv

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
    """Strided convolutions down to 8 pixels or fewer, one hidden layer, one linear layer.

    Of clips each convolution of the frames is followed by one of three taps along time, which is (2+1)-D (Tran et al.
    2018, section 3.5), and by the mean of each two frames.
    """

    num_classes: Whole
    widths: Sequence[Count] = (16, 32)  # by halving; the last for all further ones
    hidden: Count = 64

    @nn.compact
    def __call__(self, image: Array) -> Classification:
        """Classify images `[B,H,W,C]` or clips `[B,T,H,W,C]` in [-1, 1] of any size and length."""
        x = reduced(image)
        stage = 0
        while max(x.shape[-3:-1]) > SMALLEST:
            width = self.widths[min(stage, len(self.widths) - 1)]
            x = nn.relu(nn.Conv(width, (4, 4), strides=2, name=f"conv{stage}")(x))
            if x.ndim == 5:
                x = _halved(nn.relu(TimeConv(width, name=f"time{stage}")(x)))
            stage += 1
        texture = x.mean(axis=tuple(range(1, x.ndim - 1)))
        hidden = nn.relu(nn.Dense(self.hidden, name="hidden")(x.reshape(x.shape[0], -1)))
        return Classification(nn.Dense(self.num_classes, name="logits")(hidden), hidden, texture)


def reduced(image: Array) -> Array:
    """Images or frames with at most 64 pixels a side: larger ones are interpolated with antialiasing."""
    *outer, height, width, channels = image.shape
    scale = LARGEST / max(height, width)
    if scale >= 1:
        return image
    height, width = (max(1, round(size * scale)) for size in (height, width))
    return jax.image.resize(image, (*outer, height, width, channels), "linear", antialias=True)


def _halved(x: Array) -> Array:
    """The mean of each two frames of `[B,T,H,W,C]`; of an odd last one alone."""
    if x.shape[1] % 2:
        x = jnp.concatenate([x, x[:, -1:]], axis=1)
    return (x[:, ::2] + x[:, 1::2]) / 2

"""Small convolutional classifiers of images and clips, whose last activations serve as features for scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgan.config.domains import Count, Whole
from jaxgan.layers.temporal import TimeConv

Array = jax.Array

LARGEST = 64  # pixels: larger images are first reduced to this, which bounds the cost
SMALLEST = 8  # pixels: convolutions halve the image until it is at most this
SMALLEST_OF_CLIPS = 4
MOMENTS = 4  # time steps: longer clips are halved in time until they have at most this many


class Classification(NamedTuple):
    """Logits `[B,K]`, the hidden layer `[B,D]` before them, and the mean of the last convolution `[B,W]`.

    The hidden layer represents the class of an image and ignores everything else: noise can look like a digit to it.
    The mean of the convolution represents textures.
    """

    logits: Any
    hidden: Any
    texture: Any


class Classifier(nn.Module):
    """Strided convolutions down to 8 pixels or fewer, one hidden layer, one linear layer."""

    num_classes: Whole
    widths: Sequence[Count] = (16, 32)  # by halving; the last one is used for all further halvings
    hidden: Count = 64

    @nn.compact
    def __call__(self, image: Array) -> Classification:
        """Classify images `[B,H,W,C]` in [-1, 1] of any size."""
        x = reduced(image)
        stage = 0
        while max(x.shape[-3:-1]) > SMALLEST:
            width = self.widths[min(stage, len(self.widths) - 1)]
            x = nn.relu(nn.Conv(width, (4, 4), strides=2, name=f"conv{stage}")(x))
            stage += 1
        texture = x.mean(axis=(1, 2))
        hidden = nn.relu(nn.Dense(self.hidden, name="hidden")(x.reshape(x.shape[0], -1)))
        return Classification(nn.Dense(self.num_classes, name="logits")(hidden), hidden, texture)


class ClipClassifier(nn.Module):
    """Strided (2+1)-D convolutions of clips (Tran et al. 2018, section 3.5), down to 4 pixels and about 4 time steps.

    Each pair of frames becomes one image with twice the channels, so that the first convolution sees motion. Each
    spatial convolution is followed by one of three taps along time. The hidden layer sees the maximum over the pixels
    at each time step: the position of an event does not matter, but the order of events does.
    """

    num_classes: Whole
    widths: Sequence[Count] = (16, 32, 64)
    hidden: Count = 64

    @nn.compact
    def __call__(self, image: Array) -> Classification:
        """Classify clips `[B,T,H,W,C]` in [-1, 1] of any size and length."""
        init = nn.initializers.he_normal()
        x = _in_twos(reduced(image) + 1)  # black becomes 0, like the padding of the convolutions
        x = jnp.concatenate([x[:, ::2], x[:, 1::2]], axis=-1)
        stage = 0
        while max(x.shape[-3:-1]) > SMALLEST_OF_CLIPS:
            width = self.widths[min(stage, len(self.widths) - 1)]
            x = nn.relu(nn.Conv(width, (4, 4), strides=2, kernel_init=init, name=f"conv{stage}")(x))
            x = nn.relu(TimeConv(width, kernel_init=init, name=f"time{stage}")(x))
            if x.shape[1] > MOMENTS:
                x = _in_twos(x)
                x = (x[:, ::2] + x[:, 1::2]) / 2
            stage += 1
        texture = x.mean(axis=(1, 2, 3))
        seen = nn.LayerNorm(name="norm")(x.max(axis=(2, 3)).reshape(x.shape[0], -1))
        hidden = nn.relu(nn.Dense(self.hidden, kernel_init=init, name="hidden")(seen))
        return Classification(nn.Dense(self.num_classes, name="logits")(hidden), hidden, texture)


def reduced(image: Array) -> Array:
    """Images or frames of at most 64 pixels a side: larger ones are resized with antialiasing."""
    *outer, height, width, channels = image.shape
    scale = LARGEST / max(height, width)
    if scale >= 1:
        return image
    height, width = (max(1, round(size * scale)) for size in (height, width))
    return jax.image.resize(image, (*outer, height, width, channels), "linear", antialias=True)


def _in_twos(x: Array) -> Array:
    """Clips `[B,T,H,W,C]` with an even number of frames: if it is odd, the last frame is repeated."""
    return jnp.concatenate([x, x[:, -1:]], axis=1) if x.shape[1] % 2 else x

"""Progressive GAN (Karras et al. 2018, table 2): networks that run at any resolution up to the last, and fade it in.

The params of all resolutions exist from the start. A stage is the index of a resolution (0: 4 pixels), and each layer
is named after the pixels it works at. A stage uses the layers up to its own pixels, its own layer to or from RGB and,
while it fades in, that of the stage before.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxgan.config.domains import Count, Given, Whole
from jaxgan.errors import UserError
from jaxgan.game import Array, Judgement
from jaxgan.layers.equalized import EqualizedConv, EqualizedDense, leaky_relu, pixel_norm
from jaxgan.layers.labels import Embedding, projection, sizes, taken, with_embedding
from jaxgan.layers.minibatch_stddev import minibatch_stddev
from jaxgan.layers.reduction import spread
from jaxgan.layers.resampling import box_downsample, box_upsample
from jaxgan.layers.residual import conv_doubled, conv_halved

START = 4  # pixels of the first stage
BUDGET = 16384  # channels times pixels along a side, where `max_width` does not limit the channels


class Generator(nn.Module):
    """Latents `[B,Z]` (and labels `[B]`) to images `[B,R,R,C]` in about [-1, 1], at the resolution R of the stage.

    An embedding of the label is concatenated to the latent.
    """

    resolution: Given[Count]
    channels: Given[Count]
    num_classes: Given[Whole] = 0
    conditioning: Literal["concat"] = "concat"
    condition_dim: Given[Whole] = 0  # length of the vectors that replace labels; 0: none
    base_width: Count | None = None  # at the resolution, doubled at each halving; None: 16384 / resolution
    max_width: Count = 512
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self,
        latent: Array,
        label: Array | None = None,
        *,
        train: bool,
        stage: int | None = None,
        alpha: Array | float = 1.0,
    ) -> Array:
        """The images at the resolution of `stage` (None: the last), float32.

        `alpha` fades from the stage before, its pixels repeated (0), to this one (1); with a Python 1.0, the layers
        that only fading needs are not computed. There are no statistics, so `train` changes nothing. Raises UserError
        for invalid arguments.
        """
        del train
        widths = stage_widths(self.resolution, self.base_width, self.max_width)
        stage = _checked(stage, widths)
        x, label = latent.astype(self.dtype), taken(self, label)
        if label is not None:
            if self.conditioning != "concat":
                raise UserError(f"progan: got conditioning {self.conditioning!r}, expected 'concat' for the generator")
            x = with_embedding(x, label, dtype=self.dtype, **sizes(self))
        stem = EqualizedDense(
            START**2 * widths[0], gain=0.25, dtype=self.dtype, name="stem"
        )  # gain of the official code
        x = _activated(stem(pixel_norm(x)).reshape(-1, START, START, widths[0]))
        x = _activated(EqualizedConv(widths[0], dtype=self.dtype, name=f"conv_{START}")(x))
        outputs = [x]
        for index in range(1, len(widths) if self.is_initializing() else stage + 1):
            x = _UpBlock(widths[index], dtype=self.dtype, name=f"block_{START << index}")(x)
            outputs.append(x)

        to_rgb = [
            EqualizedConv(self.channels, 1, dtype=self.dtype, name=f"to_rgb_{START << index}")
            for index in range(len(widths))
        ]
        if self.is_initializing():
            for layer, output in zip(to_rgb, outputs):
                layer(output)
        image = to_rgb[stage](outputs[stage]).astype(jnp.float32)
        if stage == 0 or _is_one(alpha):
            return image
        before = box_upsample(to_rgb[stage - 1](outputs[stage - 1]).astype(jnp.float32))
        return _faded(before, image, alpha)


class Discriminator(nn.Module):
    """Images `[B,R,R,C]` at the resolution of the stage (and labels `[B]`) to one logit each.

    Labels are predicted by an extra head ("classifier"), or enter by projection.
    """

    resolution: Given[Count]
    num_classes: Given[Whole] = 0
    conditioning: Literal["classifier", "projection"] = "classifier"
    condition_dim: Given[Whole] = 0  # length of the vectors that replace labels; 0: none
    base_width: Count | None = None  # at the resolution, doubled at each halving; None: 16384 / resolution
    max_width: Count = 512
    group_size: Count = 4  # of the minibatch standard deviation
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self,
        image: Array,
        label: Array | None = None,
        *,
        train: bool,
        stage: int | None = None,
        alpha: Array | float = 1.0,
    ) -> Judgement:
        """Logits `[B]` and the features `[B,F]` before them.

        `alpha` fades from the stage before, which gets the halved image (0), to this one (1). Raises UserError for
        images whose resolution is not that of the stage, and for invalid arguments.
        """
        del train
        widths = stage_widths(self.resolution, self.base_width, self.max_width)
        stage = _checked(stage, widths)
        label = taken(self, label, needed=self.conditioning != "classifier")
        if self.num_classes and self.conditioning == "concat":
            raise UserError(
                "progan: got conditioning 'concat', expected 'classifier' or 'projection' for the discriminator"
            )
        if self.condition_dim and self.conditioning != "projection":
            raise UserError(f"progan: got conditioning {self.conditioning!r}, expected 'projection' for vectors")
        if image.shape[1:3] != (START << stage,) * 2:
            got = "x".join(map(str, image.shape[1:3]))
            raise UserError(f"progan: got images of {got}, expected {START << stage} pixels at stage {stage}")
        from_rgb = [
            EqualizedConv(width, 1, dtype=self.dtype, name=f"from_rgb_{START << index}")
            for index, width in enumerate(widths)
        ]
        blocks = [
            _DownBlock(width, narrower, dtype=self.dtype, name=f"block_{START << index}")
            for index, (narrower, width) in enumerate(zip(widths[1:], widths), 1)
        ]
        if self.is_initializing():  # params do not depend on the image's size
            small = jnp.zeros((1, START, START, image.shape[-1]), self.dtype)
            from_rgb[0](small)
            for layer, block in zip(from_rgb[1:], blocks):
                block(layer(small))
        x = leaky_relu(from_rgb[stage](image.astype(self.dtype)))
        for index in range(stage, 0, -1):
            x = blocks[index - 1](x)
            if index == stage and not _is_one(alpha):
                halved = box_downsample(image.astype(self.dtype))
                x = _faded(leaky_relu(from_rgb[stage - 1](halved)), x, alpha)
        return self._judged(x, label)

    def _judged(self, x: Array, label: Array | None) -> Judgement:
        width = x.shape[-1]
        x = minibatch_stddev(x, group_size=self.group_size)
        x = leaky_relu(EqualizedConv(width, dtype=self.dtype, name=f"conv_{START}")(x)).reshape(x.shape[0], -1)
        features = leaky_relu(EqualizedDense(width, dtype=self.dtype, name="features")(x))
        logits = EqualizedDense(1, dtype=self.dtype, name="logit")(features)[:, 0].astype(jnp.float32)
        class_logits = None
        if label is not None and self.conditioning == "projection":
            embedding = Embedding(features=width, scale=width**-0.5, dtype=self.dtype, name="label", **sizes(self))
            logits += projection(features, embedding(label))
        elif self.num_classes:
            dense = EqualizedDense(self.num_classes, dtype=self.dtype, name="class_logits")
            class_logits = dense(features).astype(jnp.float32)
        return Judgement(logits=logits, features=features, class_logits=class_logits)


class _Resampled(nn.Module):
    """`EqualizedConv` of size 3, fused with doubling or halving as in the code of Karras et al."""

    features: int
    function: Callable[[Array, Array], Array]  # `conv_doubled` or `conv_halved`
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x: Array) -> Array:
        shape = (3, 3, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.normal(1.0), shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        y = self.function(x.astype(self.dtype), kernel / math.sqrt(9 * x.shape[-1]))
        return y + spread(bias.astype(self.dtype), y.shape)


class _UpBlock(nn.Module):
    """Doubles an image: `[B,R,R,I] -> [B,2R,2R,features]`."""

    features: int
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x: Array) -> Array:
        x = _activated(_Resampled(self.features, conv_doubled, dtype=self.dtype, name="conv_0")(x))
        return _activated(EqualizedConv(self.features, dtype=self.dtype, name="conv_1")(x))


class _DownBlock(nn.Module):
    """Halves an image: `[B,R,R,hidden] -> [B,R/2,R/2,features]`."""

    features: int
    hidden: Count
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x: Array) -> Array:
        x = leaky_relu(EqualizedConv(self.hidden, dtype=self.dtype, name="conv_0")(x))
        return leaky_relu(_Resampled(self.features, conv_halved, dtype=self.dtype, name="conv_1")(x))


def stage_widths(resolution: int, base_width: int | None, max_width: int) -> tuple[int, ...]:
    """The channels at 4, 8, ... pixels. Raises UserError for a resolution that is not a power of two of at least 8."""
    doublings = resolution.bit_length() - START.bit_length()
    if resolution != START << max(doublings, 1):
        raise UserError(f"progan: got resolution {resolution}, expected a power of two of at least 8")
    narrowest = max(1, BUDGET // resolution) if base_width is None else base_width
    return tuple(min(narrowest << index, max_width) for index in range(doublings, -1, -1))


def _checked(stage: int | None, widths: tuple[int, ...]) -> int:
    last = len(widths) - 1
    if stage is None:
        return last
    if not 0 <= stage <= last:
        raise UserError(f"progan: got stage {stage}, expected 0 to {last}")
    return stage


def _is_one(alpha: Array | float) -> bool:
    """Whether there is nothing to fade; False for a traced value, which is unknown."""
    return isinstance(alpha, int | float) and alpha == 1


def _activated(x: Array) -> Array:
    return pixel_norm(leaky_relu(x))


def _faded(before: Array, now: Array, alpha: Array | float) -> Array:
    alpha = jnp.asarray(alpha, now.dtype)
    return (1 - alpha) * before + alpha * now

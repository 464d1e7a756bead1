"""Clips by image networks: any generator and discriminator of images, applied to frames, with time as extra input.

The design is that of StyleGAN-V (Skorokhodov et al. 2022): a film consists of a fixed content and of motion codes,
which are a function of real-valued time; a discriminator sees a few frames of a clip and the times between them.
"""

from __future__ import annotations

import inspect
import math
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Float

from jaxgan.config.domains import Count, Given, Whole
from jaxgan.errors import UserError
from jaxgan.game import Array, Judgement, Network
from jaxgan.layers.equalized import EqualizedDense, leaky_relu
from jaxgan.layers.labels import projection
from jaxgan.layers.modulation import StyledConv

PERIODS = (2.0, 512.0)  # frames: shortest and longest period of the waves that encode distances in time
WAVES = 16


class _Film(nn.Module):
    """A generator of clips: a fixed content, and a network of `jaxgan.models.motion_codes` for its motion."""

    backbone: Network
    motion: Network
    resolution: Given[Count]
    channels: Given[Count]
    frames: Given[Count]  # of a clip, if no times are given
    num_classes: Given[Whole] = 0
    condition_dim: Given[Whole] = 0

    @nn.nowrap
    def noise_shape(self, last: float) -> tuple[int, int]:
        """`(M, D)`: the shape of the motion noise that a film needs if its last frame is at time `last`."""
        motion: Any = self.motion
        return motion.noise_length(last), motion.dim

    @property
    def period(self) -> float:
        """Frames from one motion code to the next: the distribution of films is periodic in time with this period."""
        motion: Any = self.motion
        return float(motion.every)

    @property
    def has_styles(self) -> bool:
        """Whether the content is mapped to a style, which can be truncated."""
        return False

    def codes(self, latent: Array, motion: Array | None, time: Array | None, start: Array | None) -> Array:
        """The motion codes `[B,N,D]` of all frames. Raises UserError without motion noise."""
        if motion is None:
            raise UserError("video: got no motion noise, expected [B,M,D]")
        moving: Any = self.motion
        rows = latent.shape[0]
        time = jnp.broadcast_to(jnp.arange(self.frames), (rows, self.frames)) if time is None else time
        codes: Array = moving(motion, time if start is None else time + start[:, None])
        return codes


class Frames(_Film):
    """Content latents `[B,Z]` (and conditions) and motion noise `[B,M,D]` to clips `[B,N,R,R,C]`.

    `backbone` makes each frame; the frames of all clips are its batch. If it takes latents, each frame's latent is the
    content followed by the motion code. A backbone with styles (StyleGAN2) maps only the content, so that style and
    truncation are the same in all frames, and the code is concatenated to the constant that the synthesis starts from,
    as in StyleGAN-V, section 3.1.
    """

    @property
    def has_styles(self) -> bool:
        """Whether the content is mapped to a style, which can be truncated."""
        return hasattr(self.backbone, "synthesize")

    @nn.compact
    def __call__(
        self,
        latent: Array,
        condition: Array | None = None,
        motion: Array | None = None,
        time: Array | None = None,
        start: Array | None = None,
        *,
        train: bool,
        truncation: float | None = None,
    ) -> Float[Array, "b n r r c"]:
        """The clips; `time` `[B,N]` gives the time of each frame in frames of the data: real numbers of 0 or more.

        None: evenly spaced. `start` `[B]`: the times at which the clips begin; None: 0. Raises UserError without motion
        noise, and for a backbone of several scales.
        """
        backbone: Any = self.backbone
        codes = self.codes(latent, motion, time, start)
        rows, count = codes.shape[:2]
        flat = codes.reshape(rows * count, -1)
        if self.has_styles:
            style = backbone.map(latent, condition, train=train)
            if truncation is not None:
                style = backbone.style_mean.value + truncation * (style - backbone.style_mean.value)
            image = backbone.synthesize(jnp.repeat(style, count, axis=0), flat, train=train)
        else:
            condition = None if condition is None else jnp.repeat(condition, count, axis=0)
            whole = jnp.concatenate([jnp.repeat(latent, count, axis=0), flat.astype(latent.dtype)], axis=-1)
            image = backbone(whole, condition, train=train)
        image = _of_one_scale(image)
        if image.shape[1] != self.resolution:
            finding = f"got a backbone of {image.shape[1]} pixels, expected {self.resolution}"
            raise UserError(f"video: {finding}; video.Shifted accepts larger ones")
        return image.reshape(rows, count, *image.shape[1:])


class Shifted(_Film):
    """Content latents `[B,Z]` (and conditions) and motion noise `[B,M,D]` to clips `[B,N,R,R,C]` of a shifted image.

    `backbone` makes one image per clip; each frame is that image, shifted. A motion code is two numbers, the shifts
    down and to the right; their origin and range depend on the content. So a clip shows the same object in all its
    frames, and costs one image for any number of frames. Use it for objects that move as a whole in front of a plain
    background, and for panning cameras. A `backbone` of a higher `resolution` makes shifts by fractions of a pixel
    exact.
    """

    width: Count = 64  # of the hidden layer between the content and its position

    @nn.compact
    def __call__(
        self,
        latent: Array,
        condition: Array | None = None,
        motion: Array | None = None,
        time: Array | None = None,
        start: Array | None = None,
        *,
        train: bool,
    ) -> Float[Array, "b n r r c"]:
        """The clips; arguments and errors are those of `Frames`, and codes must have two numbers."""
        backbone: Any = self.backbone
        codes = self.codes(latent, motion, time, start)
        if codes.shape[-1] != 2:
            raise UserError(f"video: got motion codes of {codes.shape[-1]} numbers, expected 2: down, to the right")
        content = leaky_relu(EqualizedDense(self.width, name="content")(latent.astype(jnp.float32)))
        origin, reach = jnp.split(EqualizedDense(4, gain=0.25, name="place")(content)[:, None], 2, axis=-1)
        shift = self.resolution / 6 * (origin + (1 + reach) * codes)  # at initialisation, most of it stays in the frame
        image = _of_one_scale(backbone(latent, condition, train=train))
        return shifted(image, shift, self.resolution)


def shifted(image: Float[Array, "b h w c"], shift: Float[Array, "b n 2"], size: int) -> Float[Array, "b n size size c"]:
    """Images shifted by `shift` pixels (of the result) down and to the right, reduced to `size` pixels.

    Each pixel is the mean over its area, which is bilinear at an unchanged size; the edge's pixels are repeated.
    """
    down, right = (_covered(shift[..., axis], image.shape[1 + axis], size).astype(image.dtype) for axis in (0, 1))
    return jnp.einsum("bnyi,bijc,bnxj->bnyxc", down, image, right)


def _covered(shift: Float[Array, "b n"], fine: int, size: int) -> Float[Array, "b n size fine"]:
    """The share of each pixel of a shifted line that each fine pixel covers; the fine line's ends are repeated."""
    ratio = fine / size
    start = ratio * (jnp.arange(size) - shift[..., None])[..., None]
    first = jnp.arange(fine).astype(jnp.float32).at[0].set(-jnp.inf)
    last = jnp.arange(1, fine + 1).astype(jnp.float32).at[-1].set(jnp.inf)
    return jnp.clip(jnp.minimum(start + ratio, last) - jnp.maximum(start, first), 0.0) / ratio


def _of_one_scale(image: Array | tuple[Array, ...]) -> Array:
    if isinstance(image, tuple):
        raise UserError("video: got a backbone whose images have several scales, expected one with all_scales=False")
    return image


class Clips(nn.Module):
    """Clips `[B,N,R,R,C]` (and conditions) to one logit each: frames separately up to maps of `pixels`, then together.

    There the maps of a clip's frames are concatenated as channels, and a convolution, modulated by the time between the
    frames, reduces them to the width of one frame; the rest of `backbone` judges the result like that of an image. The
    logit gets a second term, <vector of the distances in time, features>. Both are from StyleGAN-V, section 3.2. The
    params of the backbone are those of a discriminator of images. The number of frames must be the same in every call.
    """

    backbone: Network
    resolution: Given[Count]
    num_classes: Given[Whole] = 0
    condition_dim: Given[Whole] = 0
    pixels: Count = 8  # size of the maps at which the frames are merged
    width: Count = 64  # of the vector that encodes the distances in time
    depth: Count = 1  # successive convolutions that merge the frames

    @nn.compact
    def __call__(
        self, image: Array, condition: Array | None = None, time: Array | None = None, *, train: bool
    ) -> Judgement:
        """Logits `[B]` and the backbone's features; only the differences of the frames' times `time` `[B,N]` matter.

        None: evenly spaced. Raises UserError if the backbone has no maps of `pixels`, or takes no `meet`.
        """
        backbone: Any = self.backbone
        if "meet" not in inspect.signature(type(backbone).__call__).parameters:
            name = f"{type(backbone).__module__.rpartition('.')[2]}.{type(backbone).__name__}"
            raise UserError(f"video: got backbone {name}, expected one that can merge frames (with an argument `meet`)")
        rows, count = image.shape[:2]
        time = jnp.broadcast_to(jnp.arange(count), (rows, count)) if time is None else time
        vector = _Distances(self.width, name="distances")(jnp.diff(time, axis=1))
        meeting, seen = _Meeting(self.depth, name="meeting"), list[int]()

        def meet(maps: Array) -> Array:
            met = self.pixels in seen
            seen.append(maps.shape[1])
            return maps if met or maps.shape[1] != self.pixels else meeting(maps, vector, train=train)

        judged = backbone(image.reshape(rows * count, *image.shape[2:]), condition, train=train, meet=meet)
        if getattr(backbone, "resolution", self.resolution) != self.resolution:
            raise UserError(f"video: got a backbone of {backbone.resolution} pixels, expected {self.resolution}")
        if self.pixels not in seen:
            choices = ", ".join(map(str, dict.fromkeys(seen)))
            raise UserError(f"video: got pixels {self.pixels}, expected one of {choices}, the sizes of the maps")
        compared = EqualizedDense(self.width, name="compared")(judged.features.astype(jnp.float32))
        return judged.replace(logits=judged.logits + projection(compared, vector) / math.sqrt(self.width))


class _Distances(nn.Module):
    """Distances in time between successive frames `[B,N-1]` to a vector `[B,features]`."""

    features: int

    @nn.compact
    def __call__(self, distances: Array) -> Array:
        periods = jnp.geomspace(*PERIODS, WAVES)
        angles = 2 * math.pi * distances.astype(jnp.float32)[..., None] / periods
        waves = jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1).reshape(len(distances), -1)
        x = leaky_relu(EqualizedDense(self.features, name="dense_0")(waves))
        return leaky_relu(EqualizedDense(self.features, name="dense_1")(x))


class _Meeting(nn.Module):
    """Maps of all frames `[B*N,h,w,c]` and a vector `[B,V]` to maps of the clips `[B,h,w,c]`."""

    depth: int

    @nn.compact
    def __call__(self, maps: Array, vector: Array, *, train: bool) -> Array:
        count = maps.shape[0] // vector.shape[0]
        clips = jnp.moveaxis(maps.reshape(-1, count, *maps.shape[1:]), 1, 3)
        x = clips.reshape(*clips.shape[:3], -1)
        for index in range(self.depth):
            name = f"conv_{index}" if index else "conv"  # the first keeps its old name, for older checkpoints
            x = StyledConv(maps.shape[-1], noise=False, dtype=maps.dtype, name=name)(x, vector, train=train)
        return x

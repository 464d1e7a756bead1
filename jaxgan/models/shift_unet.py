"""U-Nets for films: with temporal shifts (Lin et al. 2019; Qi et al. 2022), and with the two stages of FastDVDnet.

They are trained on clips and process films frame by frame; a memory keeps the features that later frames need.
"""

from __future__ import annotations

import itertools
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Float

from jaxgan.config.domains import Count, Given, Halvings, Several, Whole
from jaxgan.errors import UserError
from jaxgan.game import Array
from jaxgan.layers.conv import Conv
from jaxgan.layers.depth_to_space import depth_to_space, space_to_depth
from jaxgan.layers.film_filling import FILLINGS, Filling
from jaxgan.layers.frames import by_frame
from jaxgan.layers.gating import gated, gated_init
from jaxgan.layers.noise_level import noise_level
from jaxgan.layers.padding import padded_to
from jaxgan.layers.passage import Memory, Passage
from jaxgan.layers.residual import UpConv
from jaxgan.models.unet import SLOPE, doubled, he, linear
from jaxgan.models.unet import Generator as PictureUNet

Clip = Float[Array, "b t h w c"]
Noise = Literal["blind", "map"]


class _Film(nn.Module):
    """Base class of networks for films, which process whole clips, or single frames with a memory."""

    clips = True
    scale = 1
    receptive_field = None  # the memory spreads over the frame

    @property
    def delay(self) -> int:
        """By how many frames the images come later than their conditions."""
        raise NotImplementedError

    def through(self, clip: Clip, passage: Passage) -> Clip:
        """The images of a whole clip or of a part of it."""
        raise NotImplementedError

    def __call__(self, condition: Clip, label: Array | None = None, *, train: bool) -> Clip:
        """The images of clips; `train` makes no difference."""
        del label, train
        return self.through(condition, Passage())

    def step(self, condition: Array, memory: Memory, *, train: bool = False) -> tuple[Array, dict[str, Array]]:
        """The image `delay` frames before the next frame `[b,h,w,c]`, and the memory after that frame."""
        del train
        passage = Passage(memory)
        image = self.through(condition[:, None], passage)
        return image[:, 0], passage.memory(1)

    @nn.nowrap
    def start(self, condition: Array) -> dict[str, Array]:
        """The memory before the first frame `[b,h,w,c]`, which gives only the shape."""
        made = lambda frame: self.init_with_output(jax.random.key(0), frame, {}, method="step")  # noqa: E731
        (_, memory), _ = jax.eval_shape(made, condition)
        return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), memory)


class Generator(_Film):
    """Conditions `[B,T,H,W,C']` to clips `[B,T,H,W,C]`, of any height, width and length; without norms.

    A `unet.Generator` with temporal shifts: before each convolution that keeps the size, some of the channels are
    shifted between frames; if it merges two maps, only channels of the smaller map are. The first `ahead` of the
    shifts also look one frame ahead, which delays the film by one frame each; with 0, no frame sees a later one. With
    `noise` "map", the last channel of the condition is the standard deviation of its noise; it is estimated if the
    condition has no more channels than the image. With `filled`, the last channel of the condition is a mask, and the
    hidden pixels are filled in first: from the frame ("smooth"), from other frames ("median", "flow"; see
    `jaxgan.layers.film_filling`), or with grey ("grey").
    """

    channels: Given[Count]
    base_width: Count = 32
    halvings: Halvings = 2
    bottom: Whole = 2  # convolutions at the smallest size
    ahead: Whole = 4
    temporal: bool = True  # False: no shifts between frames, for comparison
    parts: Several = 4  # parts of the channels, of which one is shifted in each direction
    unshuffle: Count = 1  # pixels along a side that become channels (Zhang et al. 2018, "FFDNet", section III-A)
    noise: Noise = "blind"
    gated: bool = False
    residual: bool = True
    filled: Filling | None = None
    window: Count = 6  # frames of the median
    future: Whole = 0  # the number of these frames that are later ones
    dtype: DTypeLike = jnp.float32

    @property
    def multiple(self) -> int:
        """The period in pixels of the network: crops at multiples of it are processed alike."""
        return self.unshuffle << self.halvings

    @property
    def delay(self) -> int:
        """By how many frames the images come later than their conditions."""
        return self.ahead * self.temporal + (self.future if self.filled == "median" else 0)

    @nn.compact
    def through(self, clip: Clip, passage: Passage) -> Clip:
        """The images of a whole clip or of a part of it. Raises UserError for fields that do not fit together."""
        self._check(clip)
        height, width = clip.shape[2:4]
        clip, inputs = self._inputs(passage.extended(clip, self.delay), passage)
        entered = passage.late
        x = space_to_depth(padded_to(inputs.astype(self.dtype), self.multiple), self.unshuffle)
        x = self._image(self._body(x, passage))
        x = depth_to_space(x, self.unshuffle)[:, :, :height, :width].astype(jnp.float32)
        return passage.caught_up(clip, "condition", entered) + x if self.residual else jnp.tanh(x)

    def _inputs(self, condition: Clip, passage: Passage) -> tuple[Clip, Clip]:
        """The clip that a residual is added to, and the input of the network."""
        condition = condition.astype(jnp.float32)
        clip, last = condition[..., : self.channels], condition[..., self.channels :]
        if self.filled is not None:
            clip, mask, unseen = FILLINGS[self.filled](passage, clip, last[..., -1:], self.window, self.future)
            return clip, jnp.concatenate([clip, mask, unseen], axis=-1)
        if self.noise == "map" and not last.shape[-1]:
            last = jnp.broadcast_to(noise_level(clip), (*clip.shape[:-1], 1))
        return clip, jnp.concatenate([clip, last], axis=-1)

    def _body(self, x: Clip, passage: Passage) -> Clip:
        """The halving and the doubling half of the U-Net, without the last convolution."""
        widths, skips, shifts = doubled(self.base_width, self.halvings), [], itertools.count()

        def shifted(x: Clip, name: str) -> Clip:
            ahead = next(shifts) < self.ahead
            return passage.shifted(x, name, ahead=ahead, parts=self.parts) if self.temporal else x

        x = self._convolved(x, widths[0], "stem")
        for index in range(self.halvings):
            x = self._convolved(shifted(x, f"keep_{index}"), widths[index], f"keep_{index}")
            skips.append((x, passage.late))
            x = self._convolved(x, widths[index + 1], f"down_{index}", kernel_size=4, stride=2, padding=1)
        for index in range(self.bottom):
            x = self._convolved(shifted(x, f"bottom_{index}"), widths[-1], f"bottom_{index}")
        for index in reversed(range(self.halvings)):
            x = shifted(self._convolved(x, widths[index], f"up_{index}", layer=UpConv), f"merge_{index}")
            skip = passage.caught_up(skips[index][0], f"skip_{index}", skips[index][1])
            x = self._convolved(jnp.concatenate([x, skip], axis=-1), widths[index], f"merge_{index}")
        return x

    def _image(self, x: Clip) -> Clip:
        init = nn.initializers.zeros if self.residual else linear
        features = self.channels * self.unshuffle**2
        return Conv(features, kernel_init=init, dtype=self.dtype, name="image")(x)

    def _convolved(self, x: Clip, width: int, name: str, layer: Any = Conv, **geometry: int) -> Clip:
        """A convolution and its activation."""
        if self.gated:
            return gated(layer(2 * width, kernel_init=gated_init, dtype=self.dtype, name=name, **geometry)(x))
        return nn.leaky_relu(layer(width, kernel_init=he, dtype=self.dtype, name=name, **geometry)(x), SLOPE)

    def _check(self, clip: Clip) -> None:
        shifts, got = 2 * self.halvings + self.bottom, clip.shape[-1]
        if self.temporal and self.ahead > shifts:
            raise UserError(f"shift_unet: got ahead {self.ahead}, expected at most {shifts}, the number of shifts")
        if self.future >= self.window:
            raise UserError(f"shift_unet: got future {self.future}, expected less than window ({self.window})")
        if self.base_width < self.parts:
            raise UserError(f"shift_unet: got base_width {self.base_width}, expected parts ({self.parts}) or more")
        if self.filled is not None and self.noise == "map":
            raise UserError("shift_unet: got filled with noise 'map', expected only one of them")
        least = self.channels + (self.filled is not None)
        if got < least:
            raise UserError(f"shift_unet: got conditions of {got} channels, expected {least} or more")


class TwoStage(_Film):
    """Noisy conditions `[B,T,H,W,C']` to clips `[B,T,H,W,C]` by the two stages of FastDVDnet (Tassano et al. 2020, 3).

    A first U-Net denoises the middle three of five frames, each from itself and its neighbours; a second one denoises
    the middle frame from these three. Both are residual `unet.Generator`s without norms. In a film, each frame goes
    through the first stage only once. `noise` is that of `Generator`.
    """

    channels: Given[Count]
    base_width: Count = 32
    halvings: Halvings = 2
    bottom: Whole = 2
    noise: Noise = "map"
    dtype: DTypeLike = jnp.float32

    delay = 2

    @property
    def multiple(self) -> int:
        """The period in pixels of the network: crops at multiples of it are processed alike."""
        return 1 << self.halvings

    @nn.compact
    def through(self, clip: Clip, passage: Passage) -> Clip:
        """The images of a whole clip or of a part of it. Raises UserError for conditions of too few channels."""
        if clip.shape[-1] < self.channels:
            raise UserError(f"two_stage: got conditions of {clip.shape[-1]} channels, expected {self.channels} or more")
        condition = passage.extended(clip.astype(jnp.float32), self.delay)
        x, level = condition[..., : self.channels], condition[..., self.channels :]
        if self.noise == "map" and not level.shape[-1]:
            level = jnp.broadcast_to(noise_level(x), (*x.shape[:-1], 1))
        for name in ("first", "second"):
            late, shape = passage.late, (self.channels, self.base_width, self.halvings, self.bottom)
            unet = PictureUNet(*shape, residual=True, dtype=self.dtype, name=name)
            x = passage.window(x, name, 1, 1)
            level = passage.caught_up(level, f"{name}_level", late)
            three = jnp.concatenate([x[:, 1:-1], x[:, :-2], x[:, 2:], level], axis=-1)
            x = by_frame(lambda condition, unet=unet: unet(condition, train=False), three)
        return x

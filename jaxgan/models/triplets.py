"""The spatio-temporal discriminator of TecoGAN (Chu et al. 2020), which judges three frames together."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.config.domains import Count, Given
from jaxgan.errors import UserError
from jaxgan.game import Array, Judgement, Network
from jaxgan.layers.frames import as_frames
from jaxgan.layers.warping import find_flow, warp

FRAMES = 3


class Triplets(nn.Module):
    """Clips `[B,T,H,W,C]` to judgements of each three frames that follow each other, `[B,T // 3, ...]`.

    `backbone`, a discriminator of images, sees the three frames as channels. Where the enlarged conditions are judged
    too (`config.task.conditional`), which follow the clip's own channels, it sees besides them the frames as they are
    when the first and the last one are warped to the second: by the motion of the conditions, so that reals and fakes
    move alike. The original's flow is that of a network which learns with the generator; here it is found without
    training. One or two frames at the end that fill no triplet are not judged.
    """

    backbone: Network
    channels: Given[Count]

    clips = True  # not annotated, so that it is not a field

    @nn.compact
    def __call__(self, image: Array, label: Array | None = None, *, train: bool) -> Judgement:
        """The judgements. Raises UserError for clips of fewer than three frames."""
        rows, count = image.shape[0], image.shape[1] // FRAMES
        if not count:
            raise UserError(f"config.data.frames: got {image.shape[1]}, expected {FRAMES} or more for triplets")
        frames = image[:, : count * FRAMES].reshape(rows * count, FRAMES, *image.shape[2:])
        clip, condition = frames[..., : self.channels], frames[..., self.channels :]
        seen = [clip, condition, _compensated(clip, condition)] if condition.shape[-1] else [clip]
        channels = jnp.concatenate([_stacked(each) for each in seen], axis=-1)
        backbone: Any = self.backbone
        label = None if label is None else jnp.repeat(label, count, axis=0)
        judgement: Judgement = backbone(channels, label, train=train)
        return jax.tree.map(lambda each: each.reshape(rows, count, *each.shape[1:]), judgement)


def _compensated(clip: Array, condition: Array) -> Array:
    """The clip with its outer frames warped to the one in the middle, by the motion in the condition."""
    grey = jax.lax.stop_gradient(condition.mean(axis=-1, keepdims=True))
    outer = grey[:, ::2]
    flow = find_flow(as_frames(jnp.broadcast_to(grey[:, 1:2], outer.shape)), as_frames(outer))
    warped = warp(as_frames(clip[:, ::2]), flow).reshape(-1, 2, *clip.shape[2:])
    return jnp.stack([warped[:, 0], clip[:, 1], warped[:, 1]], axis=1)


def _stacked(frames: Array) -> Array:
    """`[n,3,h,w,c] -> [n,h,w,3c]`."""
    return jnp.moveaxis(frames, 1, -2).reshape(frames.shape[0], *frames.shape[2:4], -1)

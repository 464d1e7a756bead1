"""The spatio-temporal discriminator of TecoGAN (Chu et al. 2020), which judges triplets of frames."""

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
    """Clips `[B,T,H,W,C]` to judgements of consecutive triplets of frames, `[B,T // 3, ...]`.

    `backbone`, a discriminator of images, sees the three frames as channels. With `config.task.conditional`, the
    enlarged conditions follow the clip's own channels; then it also sees the conditions, and the triplet with its first
    and last frame warped to the second. The flow is that of the conditions, so that reals and fakes are warped alike.
    The original trains a flow network with the generator; here the flow is estimated without training. One or two
    frames at the end that do not fill a triplet are not judged.
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
    """The triplet with its outer frames warped to the middle one, by the flow of the condition."""
    grey = jax.lax.stop_gradient(condition.mean(axis=-1, keepdims=True))
    outer = grey[:, ::2]
    flow = find_flow(as_frames(jnp.broadcast_to(grey[:, 1:2], outer.shape)), as_frames(outer))
    warped = warp(as_frames(clip[:, ::2]), flow).reshape(-1, 2, *clip.shape[2:])
    return jnp.stack([warped[:, 0], clip[:, 1], warped[:, 1]], axis=1)


def _stacked(frames: Array) -> Array:
    """`[n,3,h,w,c] -> [n,h,w,3c]`."""
    return jnp.moveaxis(frames, 1, -2).reshape(frames.shape[0], *frames.shape[2:4], -1)

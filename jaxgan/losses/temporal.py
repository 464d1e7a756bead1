"""Content losses of clips: how the restored frames change over time, one value per clip.

Each is a pure function that requests its inputs by the names of its parameters. Clips are `[B,T,H,W,C]` in [-1, 1] with
at least two frames; differences are taken in float32.
"""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan.config.domains import Given, Positive
from jaxgan.layers.frames import as_frames
from jaxgan.layers.warping import find_flow
from jaxgan.layers.warping import warp as warped
from jaxgan.losses.adversarial import per_example
from jaxgan.losses.reconstruction import difference as apart

Clip = Float[Array, "b t h w c"]
FindMotion = Callable[[Array, Array], Array]  # (frames, previous frames) [n,h,w,C] -> flow to previous [n,h,w,2]
Shorter = Float[Array, "b t-1 h w c"]


def difference(restored_clip: Given[Clip], target_clip: Given[Clip]) -> Float[Array, " b"]:
    """The mean absolute difference between the frame-to-frame changes of both clips: penalises flicker and lag."""
    changes = (jnp.diff(each.astype(jnp.float32), axis=1) for each in (restored_clip, target_clip))
    return per_example(jnp.abs(apart(*changes)))


def warp(restored_clip: Given[Clip], target_clip: Given[Clip], *, occlusion: Positive = 50.0) -> Float[Array, " b"]:
    """The mean absolute difference between each frame and the previous one warped by the motion of the target.

    The short-term loss of Lai et al. 2018 ("Learning blind video temporal consistency"): pixels are weighted by
    exp(-occlusion d^2), where d is the difference between the target and its warped previous frame, with brightness
    from 0 to 1. The motion is estimated without a trained network.
    """
    target, before = as_frames(target_clip[:, 1:]), as_frames(target_clip[:, :-1])
    flow = find_flow(*(each.mean(axis=-1, keepdims=True) for each in (target, before)))
    distance = jnp.square(apart(target, warped(before, flow)) / 2).sum(axis=-1, keepdims=True)
    change = apart(as_frames(restored_clip[:, 1:]), warped(as_frames(restored_clip[:, :-1]), flow))
    lost = jnp.exp(-occlusion * distance) * jnp.abs(change)
    return per_example(lost.reshape(restored_clip.shape[0], -1))


def ping_pong(restored_clip: Given[Clip], returned_clip: Given[Shorter]) -> Float[Array, " b"]:
    """The mean absolute difference between the frames of the forward and the return pass (TecoGAN, Chu et al. 2020).

    After its last frame the clip continues backwards, so content that drifts or sticks differs on the way back. The
    paper squares the difference; its code takes the absolute value, as here.
    """
    return per_example(jnp.abs(apart(restored_clip[:, :-1], returned_clip)))


def motion(condition_clip: Given[Clip], find_motion: Given[FindMotion]) -> Float[Array, " b"]:
    """The mean squared difference between each frame of the condition and the previous one warped by the found flow.

    It trains the flow of a generator that aligns its memory (Sajjadi et al. 2018, the flow loss of FRVSR).
    """
    now, before = as_frames(condition_clip[:, 1:]), as_frames(condition_clip[:, :-1])
    lost = jnp.square(apart(now, warped(before, find_motion(now, before))))
    return per_example(lost.reshape(condition_clip.shape[0], -1))

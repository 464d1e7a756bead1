"""Content losses of clips: how what is restored changes from frame to frame, one value a clip.

Each is a pure function that says by the names of its parameters what it wants. Clips are `[B,T,H,W,C]` in [-1, 1] of at
least two frames; differences are taken in float32.
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
FindMotion = Callable[[Array, Array], Array]  # (frames, those before them) [n,h,w,C] -> flow [n,h,w,2] back to these
Shorter = Float[Array, "b t-1 h w c"]


def difference(restored_clip: Given[Clip], target_clip: Given[Clip]) -> Float[Array, " b"]:
    """The mean absolute difference between the changes from frame to frame: what flickers, and what lags behind."""
    changes = (jnp.diff(each.astype(jnp.float32), axis=1) for each in (restored_clip, target_clip))
    return per_example(jnp.abs(apart(*changes)))


def warp(restored_clip: Given[Clip], target_clip: Given[Clip], *, occlusion: Positive = 50.0) -> Float[Array, " b"]:
    """The mean absolute difference between each frame and the one before, warped by the motion of the target.

    The short-term loss of Lai et al. 2018 ("Learning blind video temporal consistency"): pixels count by
    exp(-occlusion d^2), where d is the difference between the target's own pixel and its warped one, of brightness 0
    to 1. The motion is found without training.
    """
    target, before = as_frames(target_clip[:, 1:]), as_frames(target_clip[:, :-1])
    flow = find_flow(*(each.mean(axis=-1, keepdims=True) for each in (target, before)))
    distance = jnp.square(apart(target, warped(before, flow)) / 2).sum(axis=-1, keepdims=True)
    change = apart(as_frames(restored_clip[:, 1:]), warped(as_frames(restored_clip[:, :-1]), flow))
    lost = jnp.exp(-occlusion * distance) * jnp.abs(change)
    return per_example(lost.reshape(restored_clip.shape[0], -1))


def ping_pong(restored_clip: Given[Clip], returned_clip: Given[Shorter]) -> Float[Array, " b"]:
    """The mean absolute difference between frames on the way there and on the way back (TecoGAN, Chu et al. 2020).

    The film goes on backwards after its last frame, so that what drifts or sticks is another when it comes back. The
    paper squares, its code takes the absolute difference.
    """
    return per_example(jnp.abs(apart(restored_clip[:, :-1], returned_clip)))


def motion(condition_clip: Given[Clip], find_motion: Given[FindMotion]) -> Float[Array, " b"]:
    """The mean squared difference between each frame of the condition and the one before, warped by the flow found.

    It teaches the flow of a generator that aligns what it remembers (Sajjadi et al. 2018, the flow loss of FRVSR).
    """
    now, before = as_frames(condition_clip[:, 1:]), as_frames(condition_clip[:, :-1])
    lost = jnp.square(apart(now, warped(before, find_motion(now, before))))
    return per_example(lost.reshape(condition_clip.shape[0], -1))

"""How near restored clips are to the originals in time: one value for each step from a frame to the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt8

from jaxgan.metrics.optical_flow import flows, grey, seen, warp

BORDER = 8  # pixels of a flow that are left out on every side
PERCENT = 100.0
THOUSANDTHS = 1e3
LEVELS = 255

Clip = UInt8[np.ndarray, "t h w c"]
Steps = Float64[np.ndarray, "t-1"]
Distance = Callable[[np.ndarray, np.ndarray], np.ndarray]  # two batches [n,H,W,C] in [-1, 1] -> one value each


class ClipMotion(NamedTuple):
    """How a clip moves: the flow of each frame to the next, that of the latter back, its pixels that both show."""

    forward: Float32[np.ndarray, "t-1 h w 2"]
    backward: Float32[np.ndarray, "t-1 h w 2"]
    visible: Bool[np.ndarray, "t-1 h w"]


def clip_motion(original: Clip) -> ClipMotion:
    """Of an original, once for all that is measured against it. ValueError for a clip of one frame."""
    frames = grey(original)
    forward, backward = flows(frames), flows(frames[::-1])[::-1]
    return ClipMotion(forward, backward, seen(backward, forward))


def tof(restored: Clip, motion: ClipMotion) -> Steps:
    """The mean distance of the flow of a restored clip from that of its original, in pixels: 0 is best.

    tOF of Chu et al. 2020 (TecoGAN, section 5), as their code has it: Farneback's flow of grey frames, Euclidean
    lengths. It leaves out 8 pixels on every side, theirs as many or more. ValueError for clips that do not fit, or
    have a side of at most 16 pixels.
    """
    _check(restored, motion)
    if min(restored.shape[1:3]) <= 2 * BORDER:
        raise ValueError(f"tOF needs more than {2 * BORDER} pixels a side, got {restored.shape[1:3]}")
    inner = slice(BORDER, -BORDER)
    errors = np.linalg.norm(flows(grey(restored)) - motion.forward, axis=-1)
    return errors[:, inner, inner].mean(axis=(1, 2), dtype=np.float64)


def warping_error(clip: Clip, motion: ClipMotion) -> Steps:
    """The mean squared change along the original's motion, in thousandths of the squared range.

    E_warp of Lai et al. 2018, eq. 12: each frame against the one before, warped, where the original shows both. NaN
    where nothing is shown twice. The original itself has an error, too. ValueError for clips that do not fit.
    """
    _check(clip, motion)
    values = []
    for before, after, back, mask in zip(clip, clip[1:], motion.backward, motion.visible):
        error = (after - warp(before[None], back[None])[0])[mask] / LEVELS
        values.append(np.square(error).mean(dtype=np.float64) * THOUSANDTHS if error.size else np.nan)
    return np.array(values, np.float64)


def tlp(restored: Clip, original: Clip, distance: Distance) -> Steps:
    """How far the perceived change from frame to frame is from the original's, in hundredths: 0 is best.

    tLP of Chu et al. 2020: 100 |d(y_t, y_t+1) - d(x_t, x_t+1)|, where the distance d is LPIPS. ValueError for clips of
    different shapes or of one frame.
    """
    if restored.shape != original.shape or len(original) < 2:
        raise ValueError(f"expected two clips of one shape, got {restored.shape} and {original.shape}")
    changes = []
    for clip in (restored, original):
        frames = clip.astype(np.float32) / np.float32(127.5) - 1
        pairs = zip(frames[:-1, None], frames[1:, None])  # one at a time: a network's features are large
        changes.append([float(distance(*pair)[0]) for pair in pairs])
    first, second = np.array(changes)
    return PERCENT * np.abs(first - second)


def _check(clip: np.ndarray, motion: ClipMotion) -> None:
    steps, height, width = motion.visible.shape
    if clip.shape[:3] != (steps + 1, height, width):
        expected = (steps + 1, height, width)
        raise ValueError(f"expected {expected} frames, rows and columns as the original has, got {clip.shape[:3]}")

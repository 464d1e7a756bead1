"""Temporal similarity of restored clips to their originals: one value for each step from a frame to the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt8

from jaxgan.metrics.optical_flow import flows, grey, seen, warp

BORDER = 8  # pixels of a flow that are excluded on every side
PERCENT = 100.0
THOUSANDTHS = 1e3
LEVELS = 255

Clip = UInt8[np.ndarray, "t h w c"]
Steps = Float64[np.ndarray, "t-1"]
Distance = Callable[[np.ndarray, np.ndarray], np.ndarray]  # two batches [n,H,W,C] in [-1, 1] -> one value each


class ClipMotion(NamedTuple):
    """The motion of a clip: flow of each frame to the next, flow back, and the pixels of the next seen in both."""

    forward: Float32[np.ndarray, "t-1 h w 2"]
    backward: Float32[np.ndarray, "t-1 h w 2"]
    visible: Bool[np.ndarray, "t-1 h w"]


def clip_motion(original: Clip) -> ClipMotion:
    """The motion of an original, reusable for all clips compared with it. Raises ValueError for a clip of one frame."""
    frames = grey(original)
    forward, backward = flows(frames), flows(frames[::-1])[::-1]
    return ClipMotion(forward, backward, seen(backward, forward))


def tof(restored: Clip, motion: ClipMotion) -> Steps:
    """Mean distance between the flows of a restored clip and of its original, in pixels: 0 is best.

    tOF of Chu et al. 2020 (TecoGAN, section 5), as in their code: Farneback's flow of grey frames, Euclidean lengths.
    It excludes 8 pixels on every side; their code excludes at least as many. Raises ValueError for clips of different
    shapes, and for sides of at most 16 pixels.
    """
    _check(restored, motion)
    if min(restored.shape[1:3]) <= 2 * BORDER:
        raise ValueError(f"got frames of {restored.shape[1:3]}, expected more than {2 * BORDER} pixels a side for tOF")
    inner = slice(BORDER, -BORDER)
    errors = np.linalg.norm(flows(grey(restored)) - motion.forward, axis=-1)
    return errors[:, inner, inner].mean(axis=(1, 2), dtype=np.float64)


def warping_error(clip: Clip, motion: ClipMotion) -> Steps:
    """Mean squared change along the original's motion, in thousandths of the squared range.

    E_warp of Lai et al. 2018, eq. 12: each frame is compared with the warped previous one, at the pixels of the
    original that are visible in both; NaN if there are none. The original itself also has an error. Raises ValueError
    for clips of different shapes.
    """
    _check(clip, motion)
    values = []
    for before, after, back, mask in zip(clip, clip[1:], motion.backward, motion.visible):
        error = (after - warp(before[None], back[None])[0])[mask] / LEVELS
        values.append(np.square(error).mean(dtype=np.float64) * THOUSANDTHS if error.size else np.nan)
    return np.array(values, np.float64)


def tlp(restored: Clip, original: Clip, distance: Distance) -> Steps:
    """Difference of the perceived change from frame to frame to the original's, in hundredths: 0 is best.

    tLP of Chu et al. 2020: 100 |d(y_t, y_t+1) - d(x_t, x_t+1)|, where the distance d is LPIPS. Raises ValueError for
    clips of different shapes or of one frame.
    """
    if restored.shape != original.shape or len(original) < 2:
        got = f"got clips of shapes {restored.shape} and {original.shape}"
        raise ValueError(f"{got}, expected equal shapes and at least 2 frames")
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
        raise ValueError(f"got {clip.shape[:3]} frames, rows and columns, expected {expected} as in the original")

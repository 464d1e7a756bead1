"""Amount and direction of motion in clips, independent of their content."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, UInt8

from jaxgan.metrics.pyramid import coarsest

BLOCK_BYTES = 64 * 2**20  # pixels per block as float32; several times that is in memory
LEAST = 1.0  # squared grey levels per pixel, added so that flat pictures have no velocity


class Velocities(NamedTuple):
    """Per clip: mean absolute change of a pixel from frame to frame, in levels of 255, and all its velocities.

    A velocity is the motion of the whole picture from a frame to the next, right and down, in pixels of the thumbnail.
    """

    change: Float32[np.ndarray, " n"]
    velocity: Float32[np.ndarray, "n v"]


def velocities(clips: UInt8[np.ndarray, "n t h w c"]) -> Velocities:
    """Velocities of thumbnails, by the least squares of Lucas and Kanade 1981 over the whole picture.

    Unlike changes, velocities are equal for clips with different content and the same motion. Raises ValueError for
    single frames.
    """
    if clips.shape[1] < 2:
        raise ValueError(f"got clips of {clips.shape[1]} frames, expected 2 or more")
    size = max(1, BLOCK_BYTES // (4 * clips[0, ..., 0].size)) if len(clips) else 1
    blocks = [_velocities(clips[start : start + size]) for start in range(0, max(1, len(clips)), size)]
    return Velocities(*map(np.concatenate, zip(*blocks)))


def _velocities(clips: np.ndarray) -> Velocities:
    grey = coarsest(clips.mean(axis=-1, dtype=np.float32, keepdims=True))[..., 0]
    change, middle = np.diff(grey, axis=1), (grey[:, 1:] + grey[:, :-1]) / 2
    down, right = np.gradient(middle, axis=(2, 3))

    def mean(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return (first * second).mean(axis=(2, 3))

    a, b, c = mean(right, right) + LEAST, mean(right, down), mean(down, down) + LEAST
    p, q = -mean(right, change), -mean(down, change)
    solved = np.stack([c * p - b * q, a * q - b * p], axis=-1) / (a * c - b * b)[..., None]
    return Velocities(np.abs(change).mean(axis=(1, 2, 3)), solved.reshape(len(clips), -1).astype(np.float32))

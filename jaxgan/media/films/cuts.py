"""Detects cuts between the shots of a film, frame by frame."""

from __future__ import annotations

import collections

import numpy as np

from jaxgan.media.reading import Picture

PLANE = (36, 64)  # rows and columns to which a frame is reduced
SAMPLES = 4  # minimum number of samples along a side that are averaged into one
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
CUT = 0.3  # threshold of unlikeness: real cuts of ordinary films reach 0.8 and more, fast motion stays below 0.2
SURE = 0.6  # threshold if the difference of the frames before is not known
FLAT = 3.0 / 255.0  # standard deviation below which a plane counts as blank


class Cuts:
    """Finds cuts in a stream of frames.

    The idea is that of FFmpeg's scdet: a frame's difference counts only as far as it exceeds the previous difference,
    so that steady motion is not a cut. Here the difference is 1 - correlation of small luma planes, which neither a
    fade nor a flash changes much, and the smallest one to the last MEMORY frames, so that a frame after a flash is
    compared with those before it. A blank frame (black, white) is not a cut; a frame after MEMORY blank ones is.
    """

    MEMORY = 3  # previous frames that a decision depends on

    def __init__(self) -> None:
        self._planes: collections.deque[np.ndarray | None] = collections.deque(maxlen=self.MEMORY)

    def seen(self, picture: Picture) -> bool:
        """Takes the next frame; returns whether a new shot begins with it. The very first frame is not a cut."""
        plane = _plane(picture)
        known = list(self._planes)
        self._planes.append(plane)
        if plane is None or not known:
            return False
        shown = [each for each in known if each is not None]
        if not shown:
            return True
        unlikeness = min(_unlike(plane, each) for each in shown)
        if len(shown) == 1:
            return unlikeness > SURE
        return unlikeness - _unlike(shown[-1], shown[-2]) > CUT


def _plane(picture: Picture) -> np.ndarray | None:
    """The luma of a frame, reduced and normalized to mean 0 and standard deviation 1; None for a blank frame."""
    stride = max(1, min(picture.height // PLANE[0], picture.width // PLANE[1]) // SAMPLES)
    pixels = picture.pixels[::stride, ::stride].astype(np.float32)
    luma = pixels[..., 0] if pixels.shape[2] == 1 else pixels @ LUMA
    for axis, count in enumerate(PLANE):
        size = luma.shape[axis]
        begins = np.unique(np.arange(count) * size // count)
        sums = np.add.reduceat(luma, begins, axis=axis)
        luma = sums / np.diff(begins, append=size).astype(np.float32).reshape((-1, 1) if axis == 0 else (1, -1))
    luma = luma / np.float32(picture.span[1] - picture.span[0])
    deviation = float(luma.std())
    return None if deviation < FLAT else (luma - luma.mean()) / np.float32(deviation)


def _unlike(one: np.ndarray, other: np.ndarray) -> float:
    return 1.0 - float((one * other).mean())

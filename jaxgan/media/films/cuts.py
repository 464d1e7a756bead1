"""Where one shot of a film ends and the next one begins, found while the frames come."""

from __future__ import annotations

import collections

import numpy as np

from jaxgan.media.reading import Picture

PLANE = (36, 64)  # rows and columns that a frame is looked at in
SAMPLES = 4  # that each of them is the mean of, along a side, at least
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
CUT = 0.3  # of unlikeness: real cuts of ordinary films have 0.8 and more, fast motion below 0.2
SURE = 0.6  # where it is not known how much the frames before differ
FLAT = 3.0 / 255.0  # deviation below which a plane shows nothing


class Cuts:
    """Finds cuts in a stream of frames.

    The idea is FFmpeg's scdet: the smaller one of a frame's difference and of what it exceeds the difference before,
    so that steady motion is no cut. Here the difference is 1 - correlation of small luma planes, which neither a
    fade nor a flash changes much, and the least one of the last MEMORY frames, so that what follows a flash is
    compared with what was before it. A frame that shows nothing (black, white) is no cut; what comes after MEMORY of
    those is one.
    """

    MEMORY = 3  # frames that a decision depends on, besides the one that it is about

    def __init__(self) -> None:
        self._planes: collections.deque[np.ndarray | None] = collections.deque(maxlen=self.MEMORY)

    def seen(self, picture: Picture) -> bool:
        """Takes the next frame; whether a new shot begins with it. The first frame of all is no cut."""
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
    """The luma of a frame in a few values of mean 0 and deviation 1; None: it shows nothing."""
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

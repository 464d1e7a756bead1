"""The rotation and mirroring that make a film's frames upright."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import av


class Turn(NamedTuple):
    """A rotation by a multiple of 90 degrees, possibly mirrored: first transpose, then reverse rows or columns."""

    transposed: bool = False
    mirrored: bool = False  # left and right are swapped
    flipped: bool = False  # top and bottom are swapped

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """Turns samples `[H,W,...]` upright."""
        if self.transposed:
            samples = samples.swapaxes(0, 1)
        if self.flipped:
            samples = samples[::-1]
        if self.mirrored:
            samples = samples[:, ::-1]
        return np.ascontiguousarray(samples)


def turn_of(frame: av.VideoFrame) -> tuple[Turn, bool]:
    """The turn given by a decoded frame's display matrix, and whether the matrix is a multiple of 90 degrees.

    The matrix maps a stored point (x, y) to (a x + c y, b x + d y), libavutil/display.h. The angle derived from it
    (`frame.rotation`) is not enough: it is 180 degrees for a picture that is only mirrored.
    """
    try:
        a, b, _, c, d = struct.unpack_from("=5i", bytes(frame.side_data["DISPLAYMATRIX"]))
    except (KeyError, struct.error):
        return Turn(), True
    straight, across = min(abs(a), abs(d)), min(abs(b), abs(c))
    exact = min(max(abs(a), abs(d)), max(abs(b), abs(c))) * 50 <= max(straight, across)
    if not exact:
        return Turn(), False
    if across > straight:
        return Turn(True, mirrored=c < 0, flipped=b < 0), True
    return Turn(False, mirrored=a < 0, flipped=d < 0), True

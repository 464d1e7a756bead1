"""How a film's frames have to be turned to stand upright."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import av


class Turn(NamedTuple):
    """A turn by right angles, perhaps mirrored: first rows and columns change places, then each may be reversed."""

    transposed: bool = False
    mirrored: bool = False  # left and right change places
    flipped: bool = False  # top and bottom

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """Samples [H,W,...], upright."""
        if self.transposed:
            samples = samples.swapaxes(0, 1)
        if self.flipped:
            samples = samples[::-1]
        if self.mirrored:
            samples = samples[:, ::-1]
        return np.ascontiguousarray(samples)


def turn_of(frame: av.VideoFrame) -> tuple[Turn, bool]:
    """The turn that a decoded frame's display matrix asks for, and whether it is one by right angles.

    The matrix says where a stored point (x, y) is shown: (a x + c y, b x + d y), libavutil/display.h. The angle that
    is made of it (`frame.rotation`) is not enough: it is 180 degrees for a picture that is only mirrored.
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

"""A picture with inputs and outputs side by side, for visual comparison."""

from __future__ import annotations

import os

import numpy as np
from PIL import Image

from jaxgan.media.grids import save_grid
from jaxgan.media.images import opaque
from jaxgan.media.provenance.origin import Origin
from jaxgan.media.reading import Picture

MOST = 6  # pictures shown
LARGEST = 480  # pixels shown along a side of an output, from its centre
SMALLEST = 192  # pixels to which crops are enlarged at least, by an integer factor
LONGEST = 24  # characters of a name


class Comparison:
    """The first pictures of a run, one per row: the input, enlarged without smoothing and bicubically, and the output.

    Large pictures are cropped to their centre rather than reduced.
    """

    def __init__(self, scale: int):
        """`scale`: output pixels per input pixel, along a side."""
        self._scale = scale
        self._names: list[str] = []
        self._cells: list[np.ndarray] = []

    def add(self, name: str, before: Picture, after: Picture) -> None:
        """Adds a row for a picture."""
        if len(self._names) == MOST:
            return
        scale, side = self._scale, max(1, LARGEST // self._scale)
        top, left = (max(0, length - side) // 2 for length in (before.height, before.width))
        small = _shown(before, slice(top, top + side), slice(left, left + side))
        rows, columns = (slice(start * scale, (start + side) * scale) for start in (top, left))
        cells = [small.repeat(scale, axis=0).repeat(scale, axis=1), _shown(after, rows, columns)]
        if scale > 1:
            size = (small.shape[1] * scale, small.shape[0] * scale)
            cells.insert(1, np.asarray(Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)))
        self._names.append(name if len(name) <= LONGEST else ".." + name[-LONGEST:])
        self._cells += cells

    def save(self, path: str | os.PathLike[str], origin: Origin | None = None) -> tuple[str, ...] | None:
        """Writes the comparison as `save_image` does; None if nothing was added."""
        if not self._cells:
            return None
        height, width = (max(cell.shape[axis] for cell in self._cells) for axis in (0, 1))
        padded = [
            np.pad(cell, ((0, height - cell.shape[0]), (0, width - cell.shape[1]), (0, 0)), constant_values=255)
            for cell in self._cells
        ]
        labels = ["input", "restored"] if self._scale == 1 else ["input", "bicubic", "restored"]
        return save_grid(
            np.stack(padded),
            path,
            columns=len(labels),
            column_labels=labels,
            row_labels=self._names if len(self._names) > 1 else None,
            scale=max(1, -(-SMALLEST // max(height, width))),
            origin=origin,
        )


def _shown(picture: Picture, rows: slice, columns: slice) -> np.ndarray:
    """A part of a picture as RGB, transparency composited onto white: uint8 `[h,w,3]`."""
    alpha = None if picture.alpha is None else picture.alpha[rows, columns]
    small = Picture(picture.pixels[rows, columns], alpha, picture.span).eight_bits()
    samples = small.pixels if small.alpha is None else opaque(np.concatenate([small.pixels, small.alpha], axis=2))
    return np.broadcast_to(samples, (*samples.shape[:2], 3)).copy()

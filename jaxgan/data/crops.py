"""Random squares of pictures of any size, as the examples of a data set.

Which squares there are is fixed by number, so they are shuffled, cached and resumed like any examples.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Sequence

import numpy as np

from jaxgan.data.sources import Pictures, fingerprint
from jaxgan.errors import UserError

SEED = 0


class CropSource:
    """`crops` squares of `resolution` pixels of each picture, as a `Source`.

    Example `i` is a square at a random place of picture `i mod n`. Pictures smaller than the square are mirrored at
    their edges. Decoded pictures are kept as far as they fit in `keep_bytes`.
    """

    def __init__(self, pictures: Pictures, *, crops: int, resolution: int | None, keep_bytes: int):
        """Raises UserError without a resolution."""
        if resolution is None:
            raise UserError("config.data.resolution is missing: the side in pixels of the crops")
        self._pictures, self._side, self._keep_bytes = pictures, resolution, keep_bytes
        self._kept: dict[int, np.ndarray] = {}
        self._lock = threading.Lock()
        spec = pictures.spec
        cut = f"{crops} random square{'s' * (crops > 1)} of {resolution} x {resolution} cut from each picture"
        self.spec = dataclasses.replace(
            spec,
            size=spec.size * crops,
            height=resolution,
            width=resolution,
            num_classes=0,
            class_names=(),
            fingerprint=fingerprint("crops", spec.fingerprint, crops, resolution, SEED),
            told=(*((title, text) for title, text in spec.told if title != "classes"), ("pixels", cut)),
        )

    def read(self, indices: Sequence[int] | np.ndarray) -> dict[str, np.ndarray]:
        """The examples at `indices`: image uint8 `[n,R,R,C]`, and condition `[n,R,R,C']` if there is one."""
        pixels = np.stack([self._crop(int(index)) for index in indices])
        channels = self.spec.channels
        fields = {"image": pixels[..., :channels]}
        return {**fields, "condition": pixels[..., channels:]} if self.spec.condition_channels else fields

    def _crop(self, index: int) -> np.ndarray:
        picture, side = self._picture(index % self._pictures.spec.size), self._side
        height, width = picture.shape[:2]
        random = np.random.default_rng((SEED, index))
        top, left = (int(random.integers(max(0, length - side) + 1)) for length in (height, width))
        cut = picture[top : top + side, left : left + side]
        missing = ((0, side - cut.shape[0]), (0, side - cut.shape[1]), (0, 0))
        return np.pad(cut, missing, mode="symmetric") if cut.shape[:2] != (side, side) else cut

    def _picture(self, number: int) -> np.ndarray:
        kept = self._kept.get(number)
        if kept is not None:
            return kept
        picture = self._pictures.picture(number)
        with self._lock:
            if picture.nbytes <= self._keep_bytes:
                self._keep_bytes -= 0 if number in self._kept else picture.nbytes
                self._kept[number] = picture
        return picture

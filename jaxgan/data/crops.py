"""Random square crops of pictures of any size, as the examples of a data set.

The index of an example determines its crop, so crops are shuffled, cached and resumed like any other examples.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from jaxgan.data.sources import Pictures, fingerprint
from jaxgan.errors import UserError
from jaxgan.fields import PLANES, Field

SEED = 0


class CropSource:
    """`crops` random squares per picture, with sides of `resolution` pixels, as a `Source`.

    Example `i` is a square at a random place of picture `i mod n`. Pictures smaller than the square are mirrored at
    their edges. In a clip, the square is at the same place in all frames. With `pan`, a random half of the clips have a
    square that moves like a camera, by at most `pan` whole pixels per frame in each direction. Decoded pictures are
    kept while they fit in `keep_bytes`.
    """

    def __init__(self, pictures: Pictures, *, crops: int, resolution: int | None, keep_bytes: int, pan: int = 0):
        """Raises UserError without a resolution, and for `pan` if the examples are not clips."""
        if resolution is None:
            raise UserError("config.data.resolution: got None, expected the side of the crops in pixels")
        still = [name for name, field in pictures.spec.fields.items() if field.kind in PLANES and not field.clip]
        if pan and still:
            raise UserError(f"config.data.pan: got {pan}, expected 0, as {still[0]} is a picture, not a clip")
        self._pictures, self._side, self._keep_bytes, self._pan = pictures, resolution, keep_bytes, pan
        self._kept: dict[int, dict[str, np.ndarray]] = {}
        self._lock = threading.Lock()
        spec = pictures.spec
        cut = f"{crops} random square{'s' * (crops > 1)} of {resolution} x {resolution} cut from each picture"
        cut += f", half of them moving by up to {pan} pixels a frame" if pan else ""
        self.spec = replace(
            spec,
            size=spec.size * crops,
            fields={name: _of_side(field, resolution) for name, field in spec.fields.items()},
            fingerprint=fingerprint("crops", spec.fingerprint, crops, resolution, SEED, *([pan] if pan else [])),
            findings=(*((title, text) for title, text in spec.findings if title != "classes"), ("pixels", cut)),
        )

    def read(self, indices: Sequence[int] | np.ndarray) -> dict[str, np.ndarray]:
        """The examples at `indices`: image uint8 `[n,R,R,C]`, and the other fields of the pictures."""
        examples = [self._crop(int(index)) for index in indices]
        return {name: np.stack([example[name] for example in examples]) for name in examples[0]}

    def _crop(self, index: int) -> dict[str, np.ndarray]:
        """One example. All its planes have one size and are cropped at the same place."""
        picture, side = self._picture(index % self._pictures.spec.size), self._side
        planes = [name for name, field in self.spec.fields.items() if field.kind in PLANES]
        random = np.random.default_rng((SEED, index))
        rooms = [max(0, length - side) for length in picture[planes[0]].shape[-3:-1]]
        if self._pan and random.integers(2):
            frames = len(picture[planes[0]])
            tops, lefts = (_path(room, frames, self._pan, random) for room in rooms)
            panned = {
                name: np.stack([_cut(*each, side) for each in zip(picture[name], tops, lefts)]) for name in planes
            }
            return {**picture, **panned}
        top, left = (int(random.integers(room + 1)) for room in rooms)
        return {**picture, **{name: _cut(picture[name], top, left, side) for name in planes}}

    def _picture(self, number: int) -> dict[str, np.ndarray]:
        kept = self._kept.get(number)
        if kept is not None:
            return kept
        picture = self._pictures.picture(number)
        size = sum(array.nbytes for array in picture.values())
        with self._lock:
            if size <= self._keep_bytes:
                self._keep_bytes -= 0 if number in self._kept else size
                self._kept[number] = picture
        return picture


def _path(room: int, frames: int, fastest: int, random: np.random.Generator) -> list[int]:
    """Where the square begins in each frame, between 0 and `room`: it moves at a constant speed in whole pixels."""
    fastest = min(fastest, room // max(1, frames - 1))
    speed = int(random.integers(-fastest, fastest + 1))
    way = speed * (frames - 1)
    first = int(random.integers(max(0, -way), room - max(0, way) + 1))
    return [first + speed * number for number in range(frames)]


def _of_side(field: Field, side: int) -> Field:
    return replace(field, shape=(*field.shape[:-3], side, side, field.channels)) if field.kind in PLANES else field


def _cut(plane: np.ndarray, top: int, left: int, side: int) -> np.ndarray:
    """The square at a place of `[...,H,W,C]`, which is mirrored at its edges if it is smaller."""
    cut = plane[..., top : top + side, left : left + side, :]
    height, width = cut.shape[-3:-1]
    missing = (*[(0, 0)] * (cut.ndim - 3), (0, side - height), (0, side - width), (0, 0))
    return np.pad(cut, missing, mode="symmetric") if (height, width) != (side, side) else cut

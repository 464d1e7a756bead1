"""Examples that are rendered, not read: they need no files, and show how to write a source of your own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jaxgan.config.domains import Count, Given
from jaxgan.config.run import DataConfig
from jaxgan.data.sources import IMAGES, DataSpec, fingerprint
from jaxgan.fields import picture_fields

CLASSES = ("disc", "square")
SIDE, CHANNELS = 32, 3  # defaults
LEAST, MOST = 0.15, 0.35  # half of a shape's width, as a fraction of the picture's


class Shapes:
    """`size` pictures of a disc or a square on black, at a random place, of random width and colour, with labels.

    Each name of a split gives different pictures. The config sets their size and channels; default 32 x 32 in colour.
    """

    spec: DataSpec

    def __init__(self, config: Given[DataConfig], split: Given[str], size: Count = 10_000):
        """Renders nothing yet."""
        side, channels = config.resolution or SIDE, config.channels or CHANNELS
        self._split = tuple(split.encode())
        identity = fingerprint("procedural.Shapes", split, size, side, channels)
        self.spec = DataSpec(
            name="procedural.Shapes",
            split=split,
            size=size,
            fields=picture_fields(side, side, channels, CLASSES),
            fingerprint=identity,
            contents=((IMAGES, identity),),
            findings=(("data", f"{size:,} rendered pictures of a disc or a square, {side} x {side}"),),
        )

    def read(self, indices: Sequence[int] | np.ndarray) -> dict[str, np.ndarray]:
        """The examples at `indices`: image uint8 `[n,H,W,C]` and label int32 `[n]`."""
        return {"image": np.stack([self._render(int(index)) for index in indices]), "label": self.labels(indices)}

    def labels(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """The labels int32 `[n]`: discs are even, squares odd."""
        return np.asarray(indices, np.int32) % len(CLASSES)

    def _render(self, index: int) -> np.ndarray:
        side, _, channels = self.spec.image.known
        random = np.random.default_rng((*self._split, index))
        half = random.uniform(LEAST, MOST) * side
        down, across = (np.abs(np.arange(side) - random.uniform(half, side - half)) for _ in range(2))
        far = np.hypot(down[:, None], across) if index % 2 == 0 else np.maximum(down[:, None], across)
        colour = random.integers(64, 256, channels)
        return np.where(far[..., None] < half, colour, 0).astype(np.uint8)

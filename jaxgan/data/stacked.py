"""Stacked data: three random grey images as the channels of one, so that modes can be counted.

Ten classes give a thousand modes (Metz et al. 2017, section 3.3.1; Lin et al. 2018, section 4.1).
"""

from __future__ import annotations

import dataclasses
import re
import threading
from collections.abc import Callable, Sequence
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from jaxgan.data.sources import Source, fingerprint, read_labels
from jaxgan.errors import UserError
from jaxgan.fields import picture_fields

if TYPE_CHECKING:
    from jaxgan.config.run import DataConfig

PREFIX = "stacked:"
NAME = re.compile(r"stacked:((?P<size>\d+):)?(?P<base>.+)")
DEFAULT_SIZE = 60_000
CHANNELS = 3
SEED = 0
READ_AT_ONCE = 1_000  # images of the base


class StackedSource:
    """One split of `stacked:BASE`, or `stacked:SIZE:BASE`, as a `Source`.

    Example `i` is always the same three images of the base, chosen at random; its label is 100 a + 10 b + c
    for their classes a, b, c (ten classes give base ten). The base is decoded once, at the first read, and kept.
    """

    def __init__(self, base: Source, *, name: str, size: int = DEFAULT_SIZE):
        """Raises UserError for a base without labels or with colour images."""
        image, classes = base.spec.image, base.spec.classes
        if not classes or image.channels != 1:
            raise UserError(
                f"config.data.name: got {name!r}, images of {image.channels} channels in "
                f"{len(classes)} classes, expected a data set of grey images with labels"
            )
        self.base = base
        self._rows = np.random.default_rng(SEED).integers(0, base.spec.size, (size, CHANNELS))
        self._lock = threading.Lock()
        self._decoded: dict[str, np.ndarray] | None = None
        self.spec = dataclasses.replace(
            base.spec,
            name=name,
            size=size,
            fields=picture_fields(
                image.height, image.width, CHANNELS, tuple(map(" ".join, product(classes, repeat=CHANNELS)))
            ),
            fingerprint=fingerprint("stacked", base.spec.fingerprint, size, SEED),
            findings=(
                *base.spec.findings,
                ("stacked", f"three random images as the channels of each of {size:,} examples"),
            ),
        )

    def read(self, indices: Sequence[int] | np.ndarray) -> dict[str, np.ndarray]:
        """The examples at `indices`: image uint8 `[n,H,W,3]` and label int32 `[n]`."""
        base, rows = self._base(), self._rows[np.asarray(indices, np.int64)]
        return {"image": np.moveaxis(base["image"][rows][..., 0], 1, -1), "label": self._stacked(base["label"][rows])}

    def labels(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """The labels int32 `[n]`; no image is read if the base can read labels alone."""
        labels = read_labels(self.base, np.arange(self.base.spec.size))
        return self._stacked(labels[self._rows[np.asarray(indices, np.int64)]])

    def _stacked(self, labels: np.ndarray) -> np.ndarray:
        places = len(self.base.spec.classes) ** np.arange(CHANNELS - 1, -1, -1)
        return (labels @ places).astype(np.int32)

    def _base(self) -> dict[str, np.ndarray]:
        with self._lock:
            if self._decoded is None:
                chunks = np.array_split(np.arange(self.base.spec.size), -(-self.base.spec.size // READ_AT_ONCE))
                parts = [self.base.read(chunk) for chunk in chunks]
                self._decoded = {field: np.concatenate([part[field] for part in parts]) for field in parts[0]}
            return self._decoded


def is_stacked(name: str) -> bool:
    """Whether the name is that of a stacked data set."""
    return name.startswith(PREFIX)


def open_stacked(config: DataConfig, open_base: Callable[[DataConfig], Source]) -> StackedSource:
    """The stacked data set `config.name`; `open_base` opens its base as grey images.

    Raises UserError for a name without a base, a size of zero, and channels other than three.
    """
    match = NAME.fullmatch(config.name)
    if match is None or is_stacked(match["base"]) or int(match["size"] or DEFAULT_SIZE) < 1:
        raise UserError(
            f"config.data.name: got {config.name!r}, expected a name such as 'stacked:mnist' or 'stacked:25600:mnist'"
        )
    if config.channels not in (None, CHANNELS):
        raise UserError(f"config.data.channels: got {config.channels}, expected {CHANNELS} for {config.name!r}")
    base = open_base(dataclasses.replace(config, name=match["base"], channels=1))
    return StackedSource(base, name=config.name, size=int(match["size"] or DEFAULT_SIZE))

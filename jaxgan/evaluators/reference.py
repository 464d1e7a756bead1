"""The real images that samples are compared with: drawn from a source at random, by seed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxgan.data.sources import DataSpec, Source

MOST_BYTES = 500_000_000  # of images drawn at a time


class Images(NamedTuple):
    """Images uint8 `[n,H,W,C]` and labels int32 `[n]`, empty where the data set has none."""

    images: np.ndarray
    labels: np.ndarray


class ArraySource:
    """A source of images that are arrays already: uint8 `[n,H,W,C]`, and labels `[n]` if they have any."""

    def __init__(self, images: np.ndarray, labels: np.ndarray | None = None, *, name: str = "arrays"):
        digest = hashlib.sha256(repr(images.shape).encode() + np.ascontiguousarray(images).tobytes())
        if labels is not None:
            labels = np.asarray(labels, np.int32)
            digest.update(labels.tobytes())
        self._images, self._labels = images, labels
        num_classes = 0 if labels is None else int(labels.max()) + 1
        self.spec = DataSpec(
            name=name,
            split="all",
            size=len(images),
            height=images.shape[1],
            width=images.shape[2],
            channels=images.shape[3],
            num_classes=num_classes,
            class_names=tuple(map(str, range(num_classes))),
            fingerprint=digest.hexdigest()[:16],
        )

    def read(self, indices: Sequence[int]) -> dict[str, np.ndarray]:
        """The examples at `indices`: image, and label if there are classes."""
        rows = np.asarray(indices)
        if self._labels is None:
            return {"image": self._images[rows]}
        return {"image": self._images[rows], "label": self._labels[rows]}


def draw(source: Source, most: int, seed: int) -> Images:
    """Up to `most` different examples (fewer where the images are large), in random order."""
    spec = source.spec
    count = min(most, spec.size, MOST_BYTES // (spec.height * spec.width * spec.channels))
    examples = source.read(np.random.default_rng(seed).permutation(spec.size)[:count])
    return Images(examples["image"], examples.get("label", np.empty(0, np.int32)))


def identity(source: Source) -> str:
    """What tells the source's images from all others', wherever they lie."""
    spec = source.spec
    return f"{spec.fingerprint} {spec.height}x{spec.width}x{spec.channels}"

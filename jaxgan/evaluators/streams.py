"""Streamed scores: images arrive in batches, are described on all devices, accumulated, and discarded.

Every process describes its share of each batch on its own devices. The descriptions are then gathered, so that all
processes accumulate the same rows. Memory does not grow with the number of images.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding, PartitionSpec

from jaxgan.data.sources import Source
from jaxgan.game import Params
from jaxgan.parallel import distributed
from jaxgan.parallel.mesh import AXES, make_mesh
from jaxgan.system import signals

CHUNK_BYTES, CHUNK_IMAGES = 50_000_000, 1_000  # real images in memory, maximum

Rows = Mapping[str, np.ndarray]  # descriptions of n images, by name: each [n, ...]
Describe = Callable[[np.ndarray], Rows]  # uint8 images [n,H,W,C] of this process


class Seen(Protocol):
    """The statistics that a scorer keeps of the images added so far."""

    def add(self, rows: Rows, labels: np.ndarray | None) -> None:
        """Add images by their descriptions; `labels` `[n]` are those that they were generated with."""
        ...

    def scores(self) -> dict[str, float]:
        """Scores by name, `score/features`; undefined ones are left out."""
        ...


class Scorer(Protocol):
    """Compares samples with the reference that it was made with."""

    samples: int  # number of samples it uses

    @property
    def names(self) -> tuple[str, ...]:
        """Score names without their features; the first score is better if lower."""
        ...

    @property
    def manifest(self) -> Mapping[str, Any]:
        """What the scores are computed with."""
        ...

    def describe(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Describe each of uint8 images `[n,H,W,C]`, row by row, without communication between processes."""
        ...

    def start(self) -> Seen:
        """An empty accumulator of samples."""
        ...


class Features:
    """Applies a network to images on all devices of this process, in batches of few shapes."""

    def __init__(self, run: Callable[[Any, jax.Array], Any], weights: Params, *, most: int, least: int | None = None):
        """`run(weights, images)` is jitted and returns arrays `[n, ...]` with one row per image.

        At most `most` rows go to a device at a time. Smaller batches are padded to a power of two, at least `least`
        (None: `most`), to limit the number of compiles.
        """
        mesh = make_mesh({"data": -1}, jax.local_devices())
        self._rows = NamedSharding(mesh, PartitionSpec(AXES))
        self._weights = jax.device_put(weights, NamedSharding(mesh, PartitionSpec()))
        self._run, self._devices, self._most, self._least = run, mesh.size, most, most if least is None else least

    def __call__(self, images: np.ndarray) -> Any:
        """The results of `run` for images `[n,H,W,C]`, n at least 1, as NumPy arrays `[n, ...]`."""
        parts, together = [], self._most * self._devices
        for start in range(0, len(images), together):
            batch = images[start : start + together]
            padding = [(0, self._padded(len(batch)) - len(batch)), *[(0, 0)] * (images.ndim - 1)]
            found = self._run(self._weights, jax.device_put(np.pad(batch, padding), self._rows))
            parts.append(jax.tree.map(functools.partial(_first, len(batch)), found))
        return jax.tree.map(lambda *rows: np.concatenate(rows), *parts)

    def _padded(self, count: int) -> int:
        share = -(-count // self._devices)
        return self._devices * min(self._most, max(self._least, 1 << (share - 1).bit_length()))


def _first(count: int, rows: jax.Array) -> np.ndarray:
    return np.asarray(rows)[:count]


class Points:
    """Keeps the first features of a stream."""

    def __init__(self, most: int):
        """`most`: the number of features kept."""
        self._most, self._count, self._parts = most, 0, [np.zeros((0, 0), np.float32)]

    def add(self, features: np.ndarray) -> None:
        """Add features `[n,D]`; those beyond the first `most` are ignored."""
        part = features[: self._most - self._count]
        if len(part):
            self._parts = [*(self._parts if self._count else ()), part.copy()]
            self._count += len(part)

    @property
    def features(self) -> np.ndarray:
        """The features kept, `[k,D]`."""
        if len(self._parts) > 1:
            self._parts = [np.concatenate(self._parts)]
        return self._parts[0]


def share(count: int) -> np.ndarray:
    """Indices of this process's share of `count` rows. Shares have equal size, filled by repeating the last row."""
    size = -(-count // jax.process_count())
    first = jax.process_index() * size
    return np.minimum(np.arange(first, first + size), count - 1)


def put_together(rows: Rows, count: int) -> dict[str, np.ndarray]:
    """Gather equal shares of rows from all processes, in order, and return the first `count`. All must call it."""
    if distributed.several():
        rows = {name: multihost_utils.process_allgather(array, tiled=True) for name, array in rows.items()}
    return {name: array[:count] for name, array in rows.items()}


def describe_reals(
    source: Source, describe: Describe, count: int, seed: int
) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray | None]]:
    """Descriptions and labels (None: the data have none) of `count` different examples, in random order.

    Every process reads and describes its share of each chunk. All processes must exhaust the iterator.
    """
    spec = source.spec
    order = np.random.default_rng(seed).permutation(spec.size)[:count]
    size = max(1, min(CHUNK_IMAGES, CHUNK_BYTES // spec.image.nbytes))
    for start in range(0, len(order), size):
        signals.check()
        chunk = order[start : start + size]
        examples = source.read(chunk[share(len(chunk))])
        rows = dict(describe(examples["image"]))
        if "label" in examples:
            rows["label"] = examples["label"]
        rows = put_together(rows, len(chunk))
        yield rows, rows.pop("label", None)


def score(scorer: Scorer, images: np.ndarray, labels: np.ndarray | None = None) -> dict[str, float]:
    """The scores of an array of uint8 images `[n,H,W,C]`; `labels` `[n]` are those that they were generated with."""
    seen = scorer.start()
    for start in range(0, len(images), CHUNK_IMAGES):
        rows = slice(start, start + CHUNK_IMAGES)
        seen.add(scorer.describe(images[rows]), None if labels is None else labels[rows])
    return seen.scores()

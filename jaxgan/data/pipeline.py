"""Turns a source into batches: preloaded on the device or the host, or streamed; a seed always gives the same ones."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import grain
import numpy as np

from jaxgan.data.order import Order
from jaxgan.data.sources import DataSpec, Source
from jaxgan.errors import UserError
from jaxgan.fields import field_of
from jaxgan.system import signals
from jaxgan.system.plain import plain

if TYPE_CHECKING:
    pass

log = logging.getLogger(__name__)

Cache = Literal["device", "host", "stream"]
CACHES = ("auto", "device", "host", "stream")
DECODE_CHUNK = 256  # images that a decoding thread takes at a time
LARGE_IMAGE_SECONDS = 5e-4  # images that take longer are decoded mostly outside of the interpreter lock
BATCHES_AHEAD = 8  # batches that threads read ahead of training


@dataclass(frozen=True)
class Pipeline:
    """The endless, shuffled training batches of one split.

    `arrays` is the whole split by field, e.g. `{image uint8 [N,H,W,C], label int32 [N]}`, if it is preloaded. With the
    cache `device`, the caller puts it on the devices, and batches are row numbers.
    """

    spec: DataSpec
    cache: Cache
    arrays: dict[str, np.ndarray] | None
    source: Source
    order: Order

    def batches(self, position: int, batch_size: int, rows: slice) -> Iterator[dict[str, np.ndarray]]:
        """Endless batches from `position` on, the global number of examples before the first batch.

        Only `rows` of each global batch of `batch_size` are read and yielded: `{index int32 [rows]}` with the cache
        `device`, else the rows of each field, `{image uint8 [rows,H,W,C], label int32 [rows]}`. Threads read ahead.
        """
        start, stop, stride = rows.indices(batch_size)
        if stride != 1:
            raise ValueError(f"rows must be contiguous, got {rows}")

        def indices(number: int) -> np.ndarray:
            return self.order.indices(position + number * batch_size + start, stop - start)

        def read(number: int) -> dict[str, np.ndarray]:
            chosen = indices(number)
            if self.cache == "device":
                return {"index": chosen}
            if self.arrays is None:
                return checked(self.spec, self.source.read(chosen))
            return {field: array[chosen] for field, array in self.arrays.items()}

        threads = _cores() if self.cache == "stream" else 1  # other caches leave next to nothing to do
        reading = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=BATCHES_AHEAD)
        return iter(grain.MapDataset.range(sys.maxsize).map(read).to_iter_dataset(reading))


def preloaded(pipelines: Mapping[str, Pipeline]) -> dict[str, np.ndarray]:
    """The arrays of several sources that the caller puts on the devices, by the names of fields in batches."""
    kept = {name: each.arrays or {} for name, each in pipelines.items() if each.cache == "device"}
    return {field_of(name, field): array for name, arrays in kept.items() for field, array in arrays.items()}


def batches(
    pipelines: Mapping[str, Pipeline], read: Mapping[str, int], batch_size: int, rows: slice
) -> Iterator[dict[str, np.ndarray]]:
    """Batches of several sources, each from its own position in `read`; see `Pipeline.batches`."""
    feeds = [each.batches(read[name], batch_size, rows) for name, each in pipelines.items()]
    return (
        {field_of(name, field): array for name, part in zip(pipelines, parts) for field, array in part.items()}
        for parts in zip(*feeds, strict=True)
    )


def checked(spec: DataSpec, read: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The fields that a source gave. Raises UserError if they are not those of its spec."""
    for name in {**spec.fields, **read}:
        field, array = spec.fields.get(name), read.get(name)
        given = "nothing" if array is None else f"{array.dtype} {list(array.shape[1:])}"
        if field is None or array is None or array.dtype != field.dtype or array.shape[1:] != field.shape:
            raise UserError(f"{plain(spec.name)} gives {given} as {name!r}, its spec has {field or 'no such field'}")
    return read


def decode(source: Source, indices: np.ndarray) -> dict[str, np.ndarray]:
    """The examples at `indices`, decoded in several threads if the images are large."""
    chunks = [indices[start : start + DECODE_CHUNK] for start in range(0, len(indices), DECODE_CHUNK)]
    started = time.monotonic()
    parts = [source.read(chunks[0])]

    def read(chunk: np.ndarray) -> dict[str, np.ndarray]:
        signals.check()
        return source.read(chunk)

    # Small images spend more time in Python than in Pillow; threads then compete for the interpreter lock and need
    # twice the time.
    large = (time.monotonic() - started) / len(chunks[0]) > LARGE_IMAGE_SECONDS
    with ThreadPoolExecutor(_cores() if large else 1) as pool:
        parts += pool.map(read, chunks[1:])
    return {field: np.concatenate([part[field] for part in parts]) for field in parts[0]}


def _cores() -> int:
    return os.cpu_count() or 1

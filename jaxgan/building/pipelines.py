"""Builds the pipeline of training batches from a data section."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from jaxgan.building.opening import errors_of, open_source
from jaxgan.config.run import path_of
from jaxgan.data.order import Order
from jaxgan.data.pipeline import CACHES, Cache, Pipeline, checked, decode
from jaxgan.data.sources import Source
from jaxgan.errors import UserError
from jaxgan.fields import MAIN, nbytes
from jaxgan.system.plain import plain

if TYPE_CHECKING:
    from jaxgan.config.run import DataConfig

log = logging.getLogger(__name__)

NAMED_AT_MOST = 10  # classes without images that the warning names


def make_pipeline(config: DataConfig, *, seed: int, allow: Sequence[str] = (), name: str = MAIN) -> Pipeline:
    """The training batches of `config.split`, ordered by `seed` and the name of the source.

    The cache `auto` preloads data that fit in `config.cache_bytes` for the device, and streams larger ones. Raises
    `UserError` as `open_source` does, and for an unknown cache.
    """
    if config.cache not in CACHES:
        raise UserError(f"{path_of(name)}.cache: got {config.cache!r}, expected one of {', '.join(CACHES)}")
    with errors_of(name):
        source = open_source(config, config.split, allow)
    spec = source.spec
    size = spec.size * nbytes(spec.fields)
    fits = size <= config.cache_bytes
    cache: Cache = ("device" if fits else "stream") if config.cache == "auto" else config.cache
    if cache != "stream" and not fits:
        log.warning(
            "%s.cache=%s takes %.1f GB, more than %s.cache_bytes=%d",
            path_of(name),
            cache,
            size / 1e9,
            path_of(name),
            config.cache_bytes,
        )
    arrays = None if cache == "stream" else checked(spec, decode(source, np.arange(spec.size)))
    _report_missing_classes(source, arrays)
    return Pipeline(spec, cache, arrays, source, Order(spec.size, seed, name))


def _report_missing_classes(source: Source, arrays: Mapping[str, np.ndarray] | None) -> None:
    """Warns of classes without a training image, if this is known without reading all examples."""
    spec, counts = source.spec, getattr(source, "label_counts", None)
    if arrays is not None and spec.classes:
        labels = arrays["label"]
        counts = np.bincount(labels[labels >= 0], minlength=len(spec.classes))  # -1: without a label
    if counts is None or counts.all() or not counts.any():
        return
    missing = [spec.classes[label] for label in np.flatnonzero(counts == 0)]
    more = f" and {len(missing) - NAMED_AT_MOST} more" if len(missing) > NAMED_AT_MOST else ""
    names = plain(", ".join(missing[:NAMED_AT_MOST]) + more)
    log.warning(
        "classes without training images, which cannot be learned: %d of %d: %s", len(missing), len(counts), names
    )

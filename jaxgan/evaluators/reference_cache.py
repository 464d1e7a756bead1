"""Statistics of real images, which cost much and never change: kept on disk under what they depend on."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from jaxgan.parallel import distributed
from jaxgan.weights.reading import UNREADABLE

FORMAT = 2  # raise it when other arrays are stored, or made otherwise

logger = logging.getLogger(__name__)


def cached(
    cache_dir: str, description: Mapping[str, Any], make: Callable[[], dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """The arrays that `make` gives for a description (data set, resize, count, hash of the features).

    They are made once for each description and written in one piece, so that many runs can share a
    folder; a damaged file is made anew. A folder that cannot be written costs a warning. Of several processes the
    first reads and writes the file, and tells the others; all make what is not there.
    """
    key = json.dumps({**description, "format": FORMAT}, sort_keys=True, allow_nan=False)
    path = os.path.join(cache_dir, f"reference-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz")
    stored = _load(path) if distributed.leading() else None
    if distributed.by_leader("reference", lambda: stored is not None):
        return distributed.arrays_by_leader("reference", lambda: stored or {})
    arrays = make()
    if distributed.leading():
        _save(cache_dir, path, arrays)
    return arrays


def _load(path: str) -> dict[str, np.ndarray] | None:
    if not os.path.exists(path):
        return None
    try:
        with open(path, "rb") as file:
            stored = io.BytesIO(file.read())
        return dict(np.load(stored, allow_pickle=False))
    except UNREADABLE as error:
        logger.warning("%s is not usable (%s): made anew", path, error)
        return None


def _save(cache_dir: str, path: str, arrays: Mapping[str, np.ndarray]) -> None:
    try:
        os.makedirs(cache_dir, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=cache_dir, suffix=".part", delete=False) as part:
            np.savez(part, **arrays)  # type: ignore[arg-type]
        os.replace(part.name, path)
    except OSError as error:
        logger.warning("%s could not be written (%s): the next run makes it anew", path, error)

"""Disk cache for statistics of real images, which are expensive; the key is all that they depend on."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxgan.data.sources import digest_of_contents
from jaxgan.parallel import distributed
from jaxgan.system.whole_files import replace_file

DATA = "made from"  # the array that describes the data that the others were made from, as JSON
FORMAT = 2  # increase it if other arrays are stored or they are computed differently

logger = logging.getLogger(__name__)


def cached(
    cache_dir: str,
    description: Mapping[str, Any],
    make: Callable[[], dict[str, np.ndarray]],
    data: Sequence[Mapping[str, Any]] = (),
) -> dict[str, np.ndarray]:
    """The arrays that `make` returns for a description (data set, resize, count, hash of the features).

    They are computed once for each description and written atomically, so that runs can share a folder; a damaged file
    is replaced. `data` describes the sources that they are computed from (see `sources.describe`). It is recorded in
    the file, and a file computed from other contents is not used. Files of older versions do not record the contents:
    such a file is assigned to the first data that ask for it. If the folder cannot be written, a warning is logged.
    With several processes the first one reads and writes the file and sends the arrays to the others; if there is no
    file, all of them call `make`.
    """
    key = json.dumps({**description, "format": FORMAT}, sort_keys=True, allow_nan=False)
    stem, contents = f"reference-{hashlib.sha256(key.encode()).hexdigest()[:16]}", digest_of_contents(data)
    path = os.path.join(cache_dir, f"{stem}-{contents}.npz" if contents else f"{stem}.npz")
    stored = None
    if distributed.leading():
        adopt(os.path.join(cache_dir, f"{stem}.npz"), path)
        stored = _load(path, contents)
    if distributed.by_leader("reference", lambda: stored is not None):
        return distributed.arrays_by_leader("reference", lambda: stored or {})
    arrays = make()
    if distributed.leading():
        _save(cache_dir, path, {**arrays, DATA: np.array(json.dumps(list(data), allow_nan=False))})
    return arrays


def adopt(old: str, new: str) -> None:
    """Rename a file of an older version, if there is one and no file has the new name."""
    if old != new and not os.path.exists(new):
        with contextlib.suppress(OSError):  # there is no such file, or it cannot be renamed
            os.rename(old, new)


def read_arrays(path: str, contents: str = "") -> dict[str, np.ndarray]:
    """The arrays in a file. Raises ValueError if it is damaged or made from other contents, and OSError."""
    with open(path, "rb") as file:
        stored = io.BytesIO(file.read())
    try:
        arrays = dict(np.load(stored, allow_pickle=False))
        data = json.loads(str(arrays.pop(DATA))) if DATA in arrays else []
        made_from = digest_of_contents(data)
    except Exception as error:  # numpy and zipfile raise many kinds of errors for damaged files
        raise ValueError(f"it is damaged: {type(error).__name__}") from None
    if contents and made_from not in ("", contents):
        raise ValueError("it was made from other data")
    return arrays


def _load(path: str, contents: str) -> dict[str, np.ndarray] | None:
    if not os.path.exists(path):
        return None
    try:
        return read_arrays(path, contents)
    except (OSError, ValueError) as error:
        logger.warning("%s is not usable (%s); it will be rebuilt", path, error)
        return None


def _save(cache_dir: str, path: str, arrays: Mapping[str, np.ndarray]) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    try:
        os.makedirs(cache_dir, exist_ok=True)
        replace_file(path, buffer.getvalue())
    except OSError as error:
        logger.warning("%s could not be written (%s); the next run will rebuild it", path, error)

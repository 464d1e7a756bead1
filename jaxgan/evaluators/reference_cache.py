"""Statistics of real images, which cost much and never change: kept on disk under what they depend on."""

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
from jaxgan.media.images import replace_file
from jaxgan.parallel import distributed

DATA = "made from"  # the array with what the others were made from, as JSON
FORMAT = 2  # raise it when other arrays are stored, or made otherwise

logger = logging.getLogger(__name__)


def cached(
    cache_dir: str,
    description: Mapping[str, Any],
    make: Callable[[], dict[str, np.ndarray]],
    data: Sequence[Mapping[str, Any]] = (),
) -> dict[str, np.ndarray]:
    """The arrays that `make` gives for a description (data set, resize, count, hash of the features).

    They are made once for each description and written in one piece, so that many runs can share a
    folder; a damaged file is made anew. `data` are the sources that they are made from, as `sources.describe` has
    them: they are recorded in the file, and a file made from other contents is not used. One of an older version, which
    knows of no contents, is taken for that of the first ones that ask. A folder that cannot be written costs a warning.
    Of several processes the first reads and writes the file, and tells the others; all make what is not there.
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
    """Gives a file of an older version its new name, if there is one and the new one is free."""
    if old != new and not os.path.exists(new):
        with contextlib.suppress(OSError):  # there is none, or it cannot be renamed
            os.rename(old, new)


def read_arrays(path: str, contents: str = "") -> dict[str, np.ndarray]:
    """The arrays in a file. Raises ValueError for a damaged one or one made from other contents, and OSError."""
    with open(path, "rb") as file:
        stored = io.BytesIO(file.read())
    try:
        arrays = dict(np.load(stored, allow_pickle=False))
        data = json.loads(str(arrays.pop(DATA))) if DATA in arrays else []
        made_from = digest_of_contents(data)
    except Exception as error:  # damaged files make numpy and zipfile raise what they like
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
        logger.warning("%s is not usable (%s): made anew", path, error)
        return None


def _save(cache_dir: str, path: str, arrays: Mapping[str, np.ndarray]) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    try:
        os.makedirs(cache_dir, exist_ok=True)
        replace_file(path, buffer.getvalue())
    except OSError as error:
        logger.warning("%s could not be written (%s): the next run makes it anew", path, error)

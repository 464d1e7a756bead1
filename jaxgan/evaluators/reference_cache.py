"""Statistics of real images, which cost much and never change: kept on disk under what they depend on."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

logger = logging.getLogger(__name__)


def cached(
    cache_dir: str, description: Mapping[str, Any], make: Callable[[], dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """The arrays that `make` gives for a description (data set, resize, count, hash of the features).

    They are made once for each description and written in one piece, so that many runs can share a
    folder; a damaged file is made anew. A folder that cannot be written costs a warning.
    """
    digest = hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()[:16]
    path = os.path.join(cache_dir, f"reference-{digest}.npz")
    if os.path.exists(path):
        try:
            with open(path, "rb") as file:
                stored = io.BytesIO(file.read())
            return dict(np.load(stored, allow_pickle=False))
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            logger.warning("%s is not usable (%s): made anew", path, error)
    arrays = make()
    try:
        os.makedirs(cache_dir, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=cache_dir, suffix=".part", delete=False) as part:
            np.savez(part, **arrays)  # type: ignore[arg-type]
        os.replace(part.name, path)
    except OSError as error:
        logger.warning("%s could not be written (%s): the next run makes it anew", path, error)
    return arrays

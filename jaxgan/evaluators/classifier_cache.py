"""Trained classifiers on disk: weights as .npz (no pickle), description and checksum as JSON.

If a file is missing, damaged or belongs to another classifier, the log says so and the classifier is trained again.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgan.data.sources import digest_of_contents
from jaxgan.evaluators.reference_cache import adopt
from jaxgan.parallel import distributed
from jaxgan.system.json_files import read_json, regular_bytes
from jaxgan.system.whole_files import replace_file
from jaxgan.weights.reading import UNREADABLE

FORMAT = 1
KIND = "classifier"  # prefix of its file names

MOST = 2**31  # bytes: maximum size of a classifier's weights

logger = logging.getLogger(__name__)


class StoredClassifier(NamedTuple):
    """A trained classifier. `arrays`, nested dicts, holds its weights and everything else needed to use it."""

    fingerprint: str  # of data, architecture, recipe and version
    arrays: Mapping[str, Any]
    accuracy: float | None  # on images held out of its training; None: no images could be held out
    checksum: str  # SHA-256 of the weights file


def load_classifier(
    cache_dir: str, fingerprint: str, *, kind: str = KIND, data: Sequence[Mapping[str, Any]] = ()
) -> StoredClassifier | None:
    """The stored classifier (or other `kind` of network) of this fingerprint; None if there is no intact one.

    `data` describes the sources that it must have been trained on (see `sources.describe`). A classifier trained on
    other contents does not count. Files of older versions do not record the contents: such a file is assigned to the
    first data that ask for it.
    """
    contents = digest_of_contents(data)
    weights_path, record_path = _paths(cache_dir, kind, fingerprint, contents)
    for old, new in zip(_paths(cache_dir, kind, fingerprint), (weights_path, record_path)):
        adopt(old, new)
    if not os.path.exists(record_path):
        return None
    try:
        return read_classifier(weights_path, record_path, fingerprint, contents)
    except (OSError, ValueError) as error:
        logger.warning("the stored network %s is not usable (%s); it will be trained again", record_path, error)
        return None


def read_classifier(weights_path: str, record_path: str, fingerprint: str, contents: str = "") -> StoredClassifier:
    """Read a classifier from its two files. Raises ValueError if damaged or of another classifier, and OSError."""
    try:
        record, weights = read_json(record_path), regular_bytes(weights_path, MOST)
        if (record["format"], record["fingerprint"]) != (FORMAT, fingerprint):
            raise ValueError("it has another format or belongs to another classifier")
        if contents and digest_of_contents(record.get("data", [])) not in ("", contents):
            raise ValueError("it was trained on other data")
        if record["sha256"] != hashlib.sha256(weights).hexdigest():
            raise ValueError("its weights do not match their checksum")
        arrays = _unflatten(np.load(io.BytesIO(weights), allow_pickle=False))
        accuracy = None if record["accuracy"] is None else float(record["accuracy"])
        return StoredClassifier(fingerprint, arrays, accuracy, record["sha256"])
    except (OSError, ValueError):
        raise
    except UNREADABLE as error:
        raise ValueError(f"it is damaged: {type(error).__name__}") from None


def save_classifier(
    cache_dir: str,
    fingerprint: str,
    arrays: Mapping[str, Any],
    *,
    accuracy: float | None,
    description: Mapping[str, Any],
    kind: str = KIND,
    data: Sequence[Mapping[str, Any]] = (),
) -> StoredClassifier:
    """Store a classifier (or other `kind` of network) with its description and the sources that it was trained on.

    If the directory cannot be written, a warning is logged.
    """
    arrays = jax.tree.map(np.asarray, dict(arrays))
    buffer = io.BytesIO()
    np.savez(buffer, **_flatten(arrays))
    weights = buffer.getvalue()
    stored = StoredClassifier(fingerprint, arrays, accuracy, hashlib.sha256(weights).hexdigest())
    record = {
        "format": FORMAT,
        "fingerprint": fingerprint,
        "sha256": stored.checksum,
        "accuracy": accuracy,
        kind: dict(description),
        "data": list(data),
    }
    weights_path, record_path = _paths(cache_dir, kind, fingerprint, digest_of_contents(data))
    try:
        os.makedirs(cache_dir, exist_ok=True)
        replace_file(weights_path, weights)
        replace_file(record_path, json.dumps(record, indent=2, allow_nan=False).encode())
    except OSError as error:
        logger.warning("the network for the scores could not be stored (%s); the next run will train it again", error)
    return stored


def by_leader(fingerprint: str, find: Callable[[], StoredClassifier]) -> StoredClassifier:
    """Find the classifier in the first process and share it, so that it is trained once and equal in all processes."""
    if not distributed.several():
        return find()

    def arrays() -> dict[str, np.ndarray]:
        found = find()
        accuracy = np.float64(np.nan if found.accuracy is None else found.accuracy)
        return {**_flatten(found.arrays, "arrays/"), "accuracy": accuracy, "checksum": np.array(found.checksum)}

    shared = distributed.arrays_by_leader(f"classifier/{fingerprint}", arrays)
    accuracy, checksum = float(shared.pop("accuracy")), str(shared.pop("checksum"))
    tree = _unflatten(shared)["arrays"]
    return StoredClassifier(fingerprint, tree, None if np.isnan(accuracy) else accuracy, checksum)


def _paths(cache_dir: str, kind: str, fingerprint: str, contents: str = "") -> tuple[str, str]:
    stem = os.path.join(cache_dir, f"{kind}-{fingerprint[:8]}" + (f"-{contents}" if contents else ""))
    return f"{stem}.npz", f"{stem}.json"


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{name}/")
        else:
            flat[prefix + name] = value
    return flat


def _unflatten(flat: Mapping[str, np.ndarray]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, value in flat.items():
        *parents, name = path.split("/")
        branch = tree
        for parent in parents:
            branch = branch.setdefault(parent, {})
        branch[name] = value
    return tree

"""Caches what was found in a folder of pictures or films, in the user's cache folder: later runs start faster."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jaxgan.data.sources import fingerprint
from jaxgan.system.paths import cache_home
from jaxgan.system.whole_files import replace_file

FORMAT = 3  # raise it when the cached fields, or the way they are found, change

Stamp = tuple[int, int, int]  # size in bytes, mtime and ctime in ns


class Row(NamedTuple):
    """What is known of one file, and the stamp it had then."""

    stamp: Stamp
    found: Mapping[str, Any] | str  # see `folder_index.Entry`; or why it cannot be read


def recall(root: Path, *of: str) -> dict[str, Row]:
    """The cached rows by path; none if the cache is missing or damaged. `of` names what else than pictures they are."""
    with contextlib.suppress(OSError, ValueError):
        return read_rows(_place(root, *of))
    return {}


def remember(root: Path, rows: Mapping[str, Row], *of: str) -> None:
    """Caches the rows. A cache that cannot be written is no error: later runs only start slower."""
    body = json.dumps({path: [row.stamp, row.found] for path, row in rows.items()}, allow_nan=False)
    with contextlib.suppress(OSError):
        replace_file(_place(root, *of), f"{_sum(body)}\n{body}".encode())


def read_rows(path: Path) -> dict[str, Row]:
    """The rows of a file that `remember` wrote. Raises ValueError for any other file, OSError if it is unreadable."""
    checksum, _, body = path.read_bytes().decode().partition("\n")
    if checksum != _sum(body):
        raise ValueError("its checksum differs")
    rows = json.loads(body)
    for _, found in rows.values():
        if not isinstance(found, str):
            found["odd"] = tuple(found["odd"])
    return {path: Row(tuple(stamp), found) for path, (stamp, found) in rows.items()}


def _place(root: Path, *of: str) -> Path:
    return cache_home() / "jaxgan" / "folders" / f"{fingerprint(FORMAT, str(root), *of)}.json"


def _sum(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()

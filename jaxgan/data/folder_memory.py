"""What was found in a folder of pictures or films, kept in the user's cache folder: a second start need not look."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jaxgan.data.sources import fingerprint
from jaxgan.media.images import replace_file
from jaxgan.system.paths import cache_home

FORMAT = 3  # raised when other things are kept, or found otherwise

Stamp = tuple[int, int, int]  # bytes; when the contents changed; when anything of the file changed: in ns


class Row(NamedTuple):
    """What is known of one file as it was at a time."""

    stamp: Stamp
    found: Mapping[str, Any] | str  # see `folder_index.Entry`; text: why it cannot be read


def recall(root: Path, *of: str) -> dict[str, Row]:
    """What was kept `of` something else than pictures, by path; nothing where that is missing or damaged."""
    with contextlib.suppress(OSError, ValueError):
        return read_rows(_place(root, *of))
    return {}


def remember(root: Path, rows: Mapping[str, Row], *of: str) -> None:
    """Keeps it; a cache that cannot be written costs time only."""
    body = json.dumps({path: [row.stamp, row.found] for path, row in rows.items()}, allow_nan=False)
    with contextlib.suppress(OSError):
        replace_file(_place(root, *of), f"{_sum(body)}\n{body}".encode())


def read_rows(path: Path) -> dict[str, Row]:
    """The rows in a file that `remember` wrote. Raises ValueError for any other, OSError where it cannot be read."""
    told, _, body = path.read_bytes().decode().partition("\n")
    if told != _sum(body):
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

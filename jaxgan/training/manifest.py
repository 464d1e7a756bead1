"""What makes a checkpoint whole: a manifest beside its data, with a checksum of every file.

Orbax restores flipped bytes without a word. The manifest is written as the last file of a checkpoint,
under its final name only when complete, and carries a checksum of itself; a directory without one is
not whole.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from etils import epath

from jaxgan.media.images import replace_file
from jaxgan.paths import is_remote

FORMAT = 1  # of checkpoints; raised when older ones can no longer be read
NAME = "manifest.json"
CHUNK = 2**22  # bytes read at a time


class NotUsableError(Exception):
    """Why a checkpoint cannot be used, in one line."""


def write_manifest(directory: epath.Path, items: Iterable[str], record: Mapping[str, Any]) -> None:
    """Writes the manifest of the finished `items` (sub-folders) of `directory`, with a JSON `record`."""
    files = {name: [_length(path), _sha256(path)] for name, path in _files(directory, items)}
    content = {"format": FORMAT, "record": dict(record), "files": files}
    whole = json.dumps({**content, "sha256": _digest(content)}, allow_nan=False)
    replace_file(directory / NAME, whole.encode())


def read_manifest(directory: epath.Path) -> dict[str, Any]:
    """The manifest of a checkpoint: `format`, `record`, and `files` (name: bytes and sha256).

    Raises NotUsableError where there is none, or one that is damaged or of another format.
    """
    try:
        content = json.loads((directory / NAME).read_text())
        digest = content.pop("sha256")
    except FileNotFoundError:
        raise NotUsableError(f"it has no {NAME}: not one of jaxgan's, or its saving was cut short") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotUsableError(f"{NAME} cannot be read ({type(error).__name__})") from None
    if content.get("format") != FORMAT:
        raise NotUsableError(f"its format is {content.get('format')!r}, this version of jaxgan reads {FORMAT}")
    if digest != _digest(content):
        raise NotUsableError(f"{NAME} is damaged: its checksum differs")
    return content


def verify(directory: epath.Path, manifest: Mapping[str, Any], items: Iterable[str]) -> None:
    """Reads every file of the `items` and compares it with the manifest.

    Raises NotUsableError, naming the first file that is missing, cut short or changed.
    """
    prefixes = tuple(f"{item}/" for item in items)
    for name, (length, digest) in manifest["files"].items():
        if not name.startswith(prefixes):
            continue
        path = directory / name
        try:
            found = _length(path)
            if found != length:
                raise NotUsableError(f"{name} has {found} bytes, {length} were written")
            if _sha256(path) != digest:
                raise NotUsableError(f"{name} is damaged: its checksum differs")
        except OSError as error:
            raise NotUsableError(f"{name} cannot be read ({type(error).__name__})") from None


def _files(directory: epath.Path, items: Iterable[str]) -> Iterator[tuple[str, epath.Path]]:
    for item in sorted(items):
        for path in sorted((directory / item).iterdir()):
            name = f"{item}/{path.name}"
            if path.is_dir():
                yield from _files(directory, [name])
            else:
                yield name, path


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=True).encode()).hexdigest()


def _length(path: epath.Path) -> int:
    """Bytes of a file; etils also looks up the name of its owner, which not every user has."""
    return path.stat().length if is_remote(path) else os.stat(path).st_size


def _sha256(path: epath.Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()

"""Files that are written completely or not at all: under a temporary name beside their place, then renamed."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from jaxgan.system.paths import is_remote


def new_file_beside(target: Path) -> Path:
    """Creates an empty temporary file in the target's folder, to be written and then moved to the target.

    Its name is short and unused: no existing file is opened, and no symlink is followed.
    """
    while True:
        part = target.parent / f".{secrets.token_hex(8)}.part"
        with contextlib.suppress(FileExistsError):
            os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666))
            return part


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path to write to, which replaces `path` atomically at the end and is deleted on an error.

    If `path` is a link, the link is replaced, not the file that it points to.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = new_file_beside(target)
    try:
        yield part
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def replace_file(path: str | os.PathLike[str], content: bytes) -> None:
    """Writes a file atomically, so that no reader sees a partial one; missing folders are created."""
    if not is_remote(path):
        with replacing(path) as part:
            part.write_bytes(content)
        return
    from etils import epath  # only for paths of buckets

    target = epath.Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    remote = target.parent / f".{secrets.token_hex(8)}.part"
    try:
        remote.write_bytes(content)
        remote.replace(target)
    finally:
        remote.unlink(missing_ok=True)

"""Which files under a folder are images that can be decoded, their sizes, and whether they are grey."""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from jaxgan.data.sources import fingerprint
from jaxgan.data.transforms import read_image
from jaxgan.errors import UserError
from jaxgan.json_files import read_json
from jaxgan.media.kinds import PICTURES
from jaxgan.media.reading import is_deep, is_grey, oddities, opened
from jaxgan.media.turns import upright_size
from jaxgan.paths import cache_home

log = logging.getLogger(__name__)

NAMED_AT_MOST = 20  # unreadable files named one by one in the log


class Entry(NamedTuple):
    """One readable image file."""

    path: str  # below the folder, with "/"
    size: int  # bytes
    width: int  # pixels, upright
    height: int
    grey: bool
    odd: str = ""  # what is done to it that its owner may not expect


def index_folder(root: Path) -> tuple[Entry, ...]:
    """The images under `root`, hidden ones left out, sorted by path; those that cannot be decoded are logged.

    So is what is done to odd ones, such as CMYK or 16 bits. Every file is decoded once to know; the finding is kept in
    the user's cache folder (`$XDG_CACHE_HOME/jaxgan/folders`) and holds until a file's path, size or time changes.
    Raises `UserError` if no image can be read.
    """
    files = _list_images(root)
    if not files:
        raise UserError(f"the folder {str(root)!r} holds no images (files ending in .png, .jpg, .webp, ...)")
    entries = _examine(root.resolve(), files)
    readable = {entry.path for entry in entries}
    unreadable = [path for path, _, _ in files if path not in readable]
    if unreadable:
        more = f" and {len(unreadable) - NAMED_AT_MOST} more" if len(unreadable) > NAMED_AT_MOST else ""
        names = ", ".join(unreadable[:NAMED_AT_MOST])
        log.warning("skipped %d unreadable images in %s: %s%s", len(unreadable), root, names, more)
    odd = [f"{entry.path} ({entry.odd})" for entry in entries if entry.odd]
    if odd:
        more = f" and {len(odd) - NAMED_AT_MOST} more" if len(odd) > NAMED_AT_MOST else ""
        log.warning("%d odd images in %s: %s%s", len(odd), root, ", ".join(odd[:NAMED_AT_MOST]), more)
    if not entries:
        raise UserError(f"none of the {len(files)} images in the folder {str(root)!r} can be read")
    return entries


def open_upright(path: Path) -> Image.Image:
    """The picture in a file, of 8 bits; see `jaxgan.media.reading.read_picture`. Raises UserError."""
    return read_image(path, str(path))


def _list_images(root: Path) -> tuple[tuple[str, int, int], ...]:
    """Path below `root`, bytes and modification time of every file that is named like an image, sorted."""
    found = []
    for folder, names, files in os.walk(root, followlinks=True):
        names[:] = [name for name in names if not name.startswith((".", "__"))]
        for name in files:
            if Path(name).suffix.lower() in PICTURES and not name.startswith("."):
                path = Path(folder, name)
                with contextlib.suppress(FileNotFoundError):  # a dangling link
                    stat = path.stat()
                    found.append((path.relative_to(root).as_posix(), stat.st_size, stat.st_mtime_ns))
    return tuple(sorted(found))


@functools.lru_cache(maxsize=4)
def _examine(root: Path, files: tuple[tuple[str, int, int], ...]) -> tuple[Entry, ...]:
    memory = cache_home() / "jaxgan" / "folders" / f"{fingerprint('upright', str(root), files)}.json"
    with contextlib.suppress(OSError, ValueError, TypeError):
        return tuple(Entry(*row) for row in read_json(memory))
    log.info("looking through %d images in %s", len(files), root)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        entries = tuple(e for e in pool.map(lambda file: _probe(root, *file), files) if e is not None)
    with contextlib.suppress(OSError):  # a cache that cannot be written costs time only
        memory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=memory.parent, delete=False) as file:
            json.dump(entries, file, allow_nan=False)
        os.replace(file.name, memory)
    return entries


def _probe(root: Path, path: str, size: int, time: int) -> Entry | None:
    del time
    try:
        with opened(root / path) as image:
            grey, odd = is_grey(image), list(oddities(image))
            if is_deep(image):
                odd.append("more than 8 bits, read as 8")
            height, width = upright_size(image)
            image.draft(image.mode, (image.width // 8, image.height // 8))  # JPEG: an eighth shows it as well
            image.load()
    except Exception:  # Pillow's decoders raise what they like on broken data
        return None
    return Entry(path, size, width, height, grey, "; ".join(odd))

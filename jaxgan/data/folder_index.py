"""Finds the files under a folder that are readable pictures, and reports the other files."""

from __future__ import annotations

import collections
import functools
import hashlib
import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from PIL import Image

from jaxgan.data.account import ODD, SKIPPED
from jaxgan.data.folder_memory import Row, Stamp, recall, remember
from jaxgan.data.transforms import read_image
from jaxgan.errors import UserError
from jaxgan.media.kinds import FILMS, KINDS, PICTURES
from jaxgan.media.reading import PictureError, is_deep, is_grey, oddities, opened
from jaxgan.media.turns import upright_size
from jaxgan.media.walking import Walk, report_failures
from jaxgan.system.plain import plain

log = logging.getLogger(__name__)

NAMED_AT_MOST = 3  # unreadable files that a report names
KINDS_AT_MOST = 6  # kinds of ignored files that a report names
NO_SUFFIX = "without a suffix"


class Entry(NamedTuple):
    """One readable image file."""

    path: str  # below the folder, with "/"
    size: int  # bytes
    width: int  # pixels, upright
    height: int
    grey: bool
    odd: tuple[str, ...] = ()  # conversions that its owner may not expect
    clear: bool = False  # some pixels are transparent
    digest: str = ""  # of all bytes of the file


class Index(NamedTuple):
    """The readable pictures of a folder, sorted by path, and a report on the other files: (title, text)."""

    entries: tuple[Entry, ...]
    findings: tuple[tuple[str, str], ...]


class _Listing(NamedTuple):
    """The files of a folder that may be pictures, and what the report needs to know of the others."""

    files: tuple[tuple[str, Stamp], ...]
    others: tuple[tuple[str, int], ...]  # counts by suffix
    failures: str
    again: tuple[str, ...]  # links to folders that are read already


def index_folder(root: Path) -> Index:
    """The images under `root`, without hidden files and those that programs put there; see `jaxgan.media.walking`.

    Every file is decoded and hashed once. The result is kept in the user's cache folder
    (`$XDG_CACHE_HOME/jaxgan/folders`) until the size or a time stamp (mtime, ctime) of the file changes; a change in
    place that keeps all three is not noticed. Files without a suffix, and HEIC files if a plugin of Pillow is
    registered, are images if Pillow can open them. Raises `UserError` if no image can be read.
    """
    listing = _list_images(root)
    read, refused = _examine(root.resolve(), listing.files)
    others = collections.Counter(dict(listing.others))
    others[NO_SUFFIX] += sum(not PurePosixPath(path).suffix for path, _ in refused)
    unreadable = [(path, why) for path, why in refused if PurePosixPath(path).suffix]
    pictures = {suffix: count for suffix, count in others.items() if _is_picture(suffix)}
    unread = report_kinds("images in unsupported formats", pictures)
    skipped = [report_unreadable(unreadable, "image"), unread, listing.failures]
    if not read:
        found = f"none of the {len(unreadable)} images in the folder {str(root)!r} can be read"
        if not unreadable:
            found = f"the folder {str(root)!r} holds no images (files ending in .png, .jpg, .webp, ...)"
            if FILMS & others.keys():
                found += "; to read its films, give --config.data.frames=N (frames per clip)"
        raise UserError("; ".join([plain(found), *filter(None, skipped)]))
    ignored = [
        report_kinds("files of other kinds", others - collections.Counter(pictures)),
        report_again(listing.again),
    ]
    titled = ((ODD, report_odd(read, "picture")), (SKIPPED, skipped), ("ignored", ignored))
    return Index(read, tuple((title, text) for title, texts in titled for text in texts if text))


def open_upright(path: Path) -> Image.Image:
    """The picture in a file, with 8 bits per channel; see `jaxgan.media.reading.read_picture`. Raises UserError."""
    return read_image(path, str(path))


def such_as(count: int, example: str) -> str:
    """`: example` for one file, `, such as example` for several."""
    return f": {plain(example)}" if count == 1 else f", such as {plain(example)}"


def _list_images(root: Path) -> _Listing:
    """The files of a folder by their path below it, sorted."""
    registered = Image.registered_extensions()
    walk, found, others = Walk(root), [], collections.Counter[str]()
    for path, about in walk:
        suffix = path.suffix.lower()
        kind = KINDS.get(suffix)
        plugged = kind is not None and kind.holds and not kind.film and suffix in registered
        if any(part.startswith("__") for part in path.relative_to(root).parts[:-1]):
            continue
        if suffix in PICTURES or plugged or not suffix:
            stamp = (about.st_size, about.st_mtime_ns, about.st_ctime_ns)
            found.append((path.relative_to(root).as_posix(), stamp))
        else:
            others[suffix] += 1
    again = tuple(each.relative_to(root).as_posix() for each in walk.again)
    return _Listing(tuple(sorted(found)), tuple(sorted(others.items())), report_failures(walk.failures, root), again)


@functools.lru_cache(maxsize=4)
def _examine(root: Path, files: tuple[tuple[str, Stamp], ...]) -> tuple[tuple[Entry, ...], tuple[tuple[str, str], ...]]:
    """The entries of readable files, and unreadable files with the reason; both in the order of `files`."""
    known = recall(root)
    rows = {path: known[path] for path, stamp in files if path in known and known[path].stamp == stamp}
    new = [(path, stamp) for path, stamp in files if path not in rows]
    if new:
        log.info("looking through %d files in %s", len(new), plain(root))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            probed = pool.map(lambda file: _probe(root, *file), new)
            rows |= {path: Row(stamp, found) for (path, stamp), found in zip(new, probed)}
    if new or len(known) > len(files):
        remember(root, rows)
    read, refused = list[Entry](), list[tuple[str, str]]()
    for path, stamp in files:
        found = rows[path].found
        if isinstance(found, str):
            refused.append((path, found))
        else:
            read.append(Entry(path, stamp[0], **found))
    return tuple(read), tuple(refused)


def _probe(root: Path, path: str, stamp: Stamp) -> dict[str, Any] | str:
    del stamp
    return probe_picture(root / path)


def probe_picture(path: Path, look: Callable[[Image.Image], None] | None = None) -> dict[str, Any] | str:
    """The fields of a file's `Entry` except path and size; or, as text, why the file cannot be read.

    `look` is called with the decoded image, which may be a reduced version of it.
    """
    try:
        with opened(path) as image:
            grey, odd = is_grey(image), list(oddities(image))
            if is_deep(image):
                odd.append("more than 8 bits, read as 8")
            height, width = upright_size(image)
            image.draft(image.mode, (image.width // 8, image.height // 8))  # JPEG: an eighth of the size is enough
            image.load()
            clear = _is_clear(image)
            if look is not None:
                look(image)
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()[:32]
    except PictureError as error:
        return plain(error)
    except OSError as error:
        return error.strerror or "it is damaged, or no image of a format that is known"
    except Exception:  # Pillow's decoders raise all kinds of errors on broken data
        return "it is damaged"
    return {"width": width, "height": height, "grey": grey, "odd": tuple(odd), "clear": clear, "digest": digest}


def _is_clear(image: Image.Image) -> bool:
    """Whether a decoded image has a pixel that is not opaque."""
    if not image.has_transparency_data or image.mode.startswith(("I", "F")):
        return False
    if "A" not in image.getbands():
        image = image.convert("RGBA")
    lowest = image.getchannel("A").getextrema()[0]
    return isinstance(lowest, int | float) and lowest < 255


def report_unreadable(unreadable: Sequence[tuple[str, str]], what: str) -> str:
    """How many files cannot be read, and the first of them with the reason; empty if there are none."""
    if not unreadable:
        return ""
    names = [f"{plain(path)} ({plain(why, 80)})" for path, why in unreadable[:NAMED_AT_MOST]]
    more = f" and {len(unreadable) - NAMED_AT_MOST} more" if len(unreadable) > NAMED_AT_MOST else ""
    return f"{len(unreadable)} unreadable {what}{'s' * (len(unreadable) > 1)}: {', '.join(names)}{more}"


def report_kinds(what: str, counts: Mapping[str, int]) -> str:
    """The number of files by suffix, the most frequent first."""
    kinds = sorted((kind for kind, count in counts.items() if count), key=lambda kind: (-counts[kind], kind))
    words = [f"{counts[kind]} {plain(kind, 30)}" for kind in kinds[:KINDS_AT_MOST]]
    rest = sum(counts[kind] for kind in kinds[KINDS_AT_MOST:])
    return f"{what}: {', '.join(words)}" + (f" and {rest} more" if rest else "") if words else ""


def _is_picture(suffix: str) -> bool:
    kind = KINDS.get(suffix)
    return kind is not None and not kind.film


def report_again(again: Sequence[str]) -> str:
    """How many links lead to folders that are read already; empty if there are none."""
    if not again:
        return ""
    links = "1 link to a folder" if len(again) == 1 else f"{len(again)} links to folders"
    return f"{links} that {'is' if len(again) == 1 else 'are'} read already{such_as(len(again), again[0])}"


def report_odd(entries: Iterable[Entry], what: str) -> list[str]:
    """What is done to unusual pictures or films, one line per kind: how many there are, and the first of them."""
    found: dict[str, list[tuple[str, str]]] = {}
    for entry in entries:
        for words in entry.odd:
            kind = "".join("0" if each.isdigit() else each for each in words)  # "the first of 12 pictures"
            found.setdefault(kind.replace("00", "0"), []).append((entry.path, words))
    lines = []
    for files in found.values():
        (path, words), count = files[0], len(files)
        lines.append(f"{count} {what}{'s' * (count > 1)}{such_as(count, path)} ({words})")
    return lines

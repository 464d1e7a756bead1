"""Finds the films under a folder, and reports the other files."""

from __future__ import annotations

import collections
import functools
import logging
import os
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from jaxgan.data.account import ODD, SKIPPED
from jaxgan.data.clips.films import Film, film_of, probe_file, probe_folder, stamp_of
from jaxgan.data.folder_index import report_again, report_kinds, report_odd, report_unreadable, such_as
from jaxgan.data.folder_memory import Row, Stamp, recall, remember
from jaxgan.errors import UserError
from jaxgan.media.films.frames import check_extra
from jaxgan.media.films.stills import natural
from jaxgan.media.kinds import FILMS, PICTURES
from jaxgan.media.walking import Walk, report_failures
from jaxgan.system.plain import plain

log = logging.getLogger(__name__)

MOVING = (".gif", ".apng")  # pictures that are films themselves, not frames of one


class FilmIndex(NamedTuple):
    """The films of a folder, sorted by path, and a report on the other files: (title, text)."""

    films: tuple[Film, ...]
    findings: tuple[tuple[str, str], ...]


class _Listed(NamedTuple):
    """A file or folder that may be a film."""

    path: str  # below the folder, with "/"
    stamp: Stamp
    names: tuple[str, ...] = ()  # of the pictures in a folder, ordered by the numbers in them


def index_films(root: Path, only: Collection[str] = ()) -> FilmIndex:
    """The films under `root`: files, and folders of pictures; with `only`, the files of these names.

    Each film is decoded once to find its frames, cuts and key frames, and its bytes are hashed. As for pictures, the
    result is kept in the user's cache folder. A lone picture in a folder, and pictures beside or above film files, are
    not used. Raises `UserError` if no film can be read, and for film files if the extra `[video]` is missing.
    """
    walk, folders, others = Walk(root), dict[str, list[tuple[str, os.stat_result]]](), collections.Counter[str]()
    listed = list[_Listed]()
    for path, about in walk:
        below, suffix = path.relative_to(root), path.suffix.lower()
        if any(part.startswith("__") for part in below.parts[:-1]) or (only and below.as_posix() not in only):
            continue
        if suffix in FILMS or suffix in MOVING:
            listed.append(_Listed(below.as_posix(), stamp_of([(below.name, about)])))
        elif suffix in PICTURES:
            folders.setdefault(below.parent.as_posix(), []).append((below.name, about))
        else:
            others[suffix] += 1
    if any(Path(each.path).suffix.lower() in FILMS for each in listed):
        check_extra()
    above = {parent.as_posix() for each in listed for parent in Path(each.path).parents}
    loose = {folder for folder, pictures in folders.items() if folder in above or len(pictures) == 1}
    for folder in folders.keys() - loose:
        frames = sorted(folders[folder], key=lambda frame: natural(frame[0]))
        listed.append(_Listed(folder, stamp_of(frames), tuple(name for name, _ in frames)))
    films, refused = _examine(root.resolve(), tuple(sorted(listed)), ("films", *sorted(only)))
    skipped = [report_unreadable(refused, "film"), report_failures(walk.failures, root)]
    if not films:
        found = f"none of the {len(refused)} films in the folder {str(root)!r} can be read"
        if not refused:
            found = f"the folder {str(root)!r} holds no films (files ending in .mp4, .mkv, ..., or folders of frames)"
        raise UserError("; ".join([plain(found), *filter(None, skipped)]))
    stray = [(Path(folder) / name).as_posix() for folder in sorted(loose) for name, _ in folders[folder]]
    pictures = (
        f"{len(stray)} picture{'s' * (len(stray) > 1)} outside of films{such_as(len(stray), stray[0])}" if stray else ""
    )
    again = report_again([each.relative_to(root).as_posix() for each in walk.again])
    ignored = [report_kinds("files of other kinds", others), pictures, again]
    titled = ((ODD, report_odd([film.entry for film in films], "film")), (SKIPPED, skipped), ("ignored", ignored))
    return FilmIndex(films, tuple((title, text) for title, texts in titled for text in texts if text))


@functools.lru_cache(maxsize=4)
def _examine(
    root: Path, listed: tuple[_Listed, ...], of: tuple[str, ...]
) -> tuple[tuple[Film, ...], tuple[tuple[str, str], ...]]:
    """The readable films, and unreadable ones with the reason; both in the order of `listed`."""
    known, stamps = recall(root, *of), {each.path: each.stamp for each in listed}
    rows = {path: row for path, row in known.items() if row.stamp == stamps.get(path)}
    new = [each for each in listed if each.path not in rows]
    if new:
        log.info("looking through %d films in %s", len(new), plain(root))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            rows |= zip((each.path for each in new), pool.map(lambda each: Row(each.stamp, _probe(root, each)), new))
    if new or len(known) > len(listed):
        remember(root, rows, *of)
    films, refused = list[Film](), list[tuple[str, str]]()
    for path, stamp, names in listed:
        found = rows[path].found
        if isinstance(found, str):
            refused.append((path, found))
        else:
            films.append(film_of(path, stamp[0], found, names))
    return tuple(films), tuple(refused)


def _probe(root: Path, listed: _Listed) -> dict[str, Any] | str:
    path = root / listed.path
    return probe_folder(path, listed.names) if listed.names else probe_file(path)

"""Examines one film of a folder, a file or a folder of frames, and reads its frames."""

from __future__ import annotations

import bisect
import contextlib
import hashlib
import os
from collections.abc import Generator, Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from jaxgan.data.folder_index import Entry, probe_picture
from jaxgan.data.transforms import Framing, read_image
from jaxgan.errors import UserError
from jaxgan.media.films.animations import Animation
from jaxgan.media.films.cuts import Cuts
from jaxgan.media.films.stills import gaps
from jaxgan.media.kinds import ANIMATIONS
from jaxgan.media.reading import Picture, PictureError
from jaxgan.system.plain import plain

NEAR = 8  # up to this many unwanted frames are decoded rather than skipped by seeking
LOOKED_AT = 8  # rows and columns per sampled one, to find out whether a frame is grey
GREY = 2  # levels by which the channels of grey frames may differ
VARIABLE = 1.5  # ratio of the longest to the shortest frame time above which the rate is variable


class Film(NamedTuple):
    """A readable film. Its frames are counted by number, whatever their times."""

    entry: Entry  # its path is "." if the data folder itself is the folder of frames
    stretches: tuple[tuple[int, int], ...]  # of consecutive readable frames: first and length
    cuts: tuple[int, ...]  # the first frame of each further shot
    names: tuple[str, ...] = ()  # folders only: of its frames
    keys: tuple[int, ...] = ()  # files only: frames that decoding can start at
    runs: tuple[tuple[int, int, int], ...] = ()  # files only: frame times as first, step, count; in ticks
    tick: float = 0.0  # files only: in seconds
    origin: float = 0.0  # files only: start time in seconds

    def shots(self, cut: bool = True) -> list[tuple[int, int]]:
        """First frame and length of each shot; without `cut`, each stretch is one shot."""
        parts = []
        for first, length in self.stretches:
            inside = [number for number in self.cuts if cut and first < number < first + length]
            parts += _spans([first, *inside], first + length)
        return parts


def probe_file(path: Path) -> dict[str, Any] | str:
    """The fields of a file's `Film` and `Entry` except path and size, as JSON; or, as text, why it cannot be read.

    The whole film is decoded.
    """
    try:
        with contextlib.closing(_opened(path)) as film:
            keys, times, cuts, grey, clear = list[int](), list[int](), list[int](), True, False
            watch = Cuts()
            for number, frame in enumerate(film.frames()):
                picture = frame.picture
                times.append(frame.pts)
                if frame.key and film.seeks:
                    keys.append(number)
                if watch.seen(picture):
                    cuts.append(number)
                grey = grey and _is_grey(picture)
                clear = clear or (picture.alpha is not None and bool((picture.alpha < picture.span[1]).any()))
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()[:32]
    except PictureError as error:
        return plain(error)
    except OSError as error:
        return error.strerror or "it cannot be read"
    about, odd = film.format, list(film.remarks)
    if film.turned:
        odd.append("turned upright")
    steps = np.diff(times)
    if len(steps) and steps.max() > VARIABLE * steps.min():
        odd.append("of variable rate: each frame counts as one, whatever its time")
    if about.deep:
        odd.append("more than 8 bits, read as 8")
    if about.sample_aspect != 1:
        odd.append("of pixels that are not square, read as if they were")
    return {
        "width": about.width,
        "height": about.height,
        "grey": grey,
        "clear": clear,
        "odd": odd,
        "digest": digest,
        "stretches": [(0, len(times))],
        "cuts": cuts,
        "keys": keys,
        "runs": _runs(times),
        "tick": float(about.time_base),
        "origin": film.origin,
    }


def probe_folder(folder: Path, names: Sequence[str]) -> dict[str, Any] | str:
    """The same for a folder of frames with these names, in order.

    A stretch ends at a missing number, and at a frame that cannot be read or does not have the most common size.
    """
    watch, cuts, found, whole = Cuts(), list[int](), list[dict[str, Any] | str](), hashlib.sha256()

    for number, name in enumerate(names):

        def look(image: Image.Image, number: int = number) -> None:
            if watch.seen(Picture(np.asarray(image.convert("RGB")))):
                cuts.append(number)

        found.append(probe_picture(folder / name, look))
    read = [each for each in found if not isinstance(each, str)]
    if not read:
        return f"none of its {len(found)} frames can be read"
    sizes = [(each["width"], each["height"]) for each in read]
    size = max(sorted(set(sizes)), key=sizes.count)
    good = [not isinstance(each, str) and (each["width"], each["height"]) == size for each in found]
    missing = gaps(names)
    borders = sorted({0, *(place + 1 for place in missing), *_changes(good)})
    odd = list(dict.fromkeys(words for each in read for words in each["odd"]))
    if missing:
        odd.append(f"numbers of frames are missing at {len(missing)} places: a shot ends there")
    if unread := len(found) - len(read):
        odd.append(f"{unread} of its frames cannot be read: a shot ends there")
    if other := len(read) - sum(good):
        odd.append(f"{other} of its frames are not of {size[0]} x {size[1]} pixels, and not used: a shot ends there")
    for each in found:
        whole.update((each if isinstance(each, str) else each["digest"]).encode())
    return {
        "width": size[0],
        "height": size[1],
        "grey": all(each["grey"] for each in read),
        "clear": any(each["clear"] for each in read),
        "odd": odd,
        "digest": whole.hexdigest()[:32],
        "stretches": [(first, length) for first, length in _spans(borders, len(names)) if good[first]],
        "cuts": cuts,
    }


def film_of(path: str, size: int, found: Mapping[str, Any], names: Sequence[str]) -> Film:
    """A film, from the result of `probe_file` or `probe_folder`."""
    of_entry = {name: found[name] for name in ("width", "height", "grey", "clear", "digest")}
    entry = Entry(path, size, odd=tuple(found["odd"]), **of_entry)
    stretches, runs = (tuple(tuple(each) for each in found.get(name, ())) for name in ("stretches", "runs"))
    cuts, keys = tuple(found["cuts"]), tuple(found.get("keys", ()))
    return Film(entry, stretches, cuts, tuple(names), keys, runs, found.get("tick", 0.0), found.get("origin", 0.0))


def read_frames(path: Path, film: Film, numbers: Iterable[int], frame: Framing) -> dict[int, np.ndarray]:
    """Frames of a film by number, each uint8 `[H,W,C]`. Raises UserError if the film has changed since the scan."""
    wanted = sorted(set(numbers))
    if film.names:
        return {number: frame(read_image(path / film.names[number], str(path))) for number in wanted}
    times, found = _times(film.runs), dict[int, np.ndarray]()
    for part in _parts(wanted, film.keys):
        found |= _decoded(path, film, part, times, part[0], frame) or _decoded(path, film, part, times, 0, frame) or {}
    if len(found) < len(wanted):
        raise UserError(f"the film {plain(path)} has changed since it was scanned: start again")
    return found


def _decoded(
    path: Path, film: Film, wanted: Sequence[int], times: np.ndarray, first: int, frame: Framing
) -> dict[int, np.ndarray]:
    """The wanted frames, decoded from frame `first` on; empty if their times are not those of the scan."""
    found = dict[int, np.ndarray]()
    start = max(0.0, float(times[first]) * film.tick - film.origin) if first else 0.0
    with (
        contextlib.suppress(PictureError),
        contextlib.closing(_opened(path, start)) as opened,
        contextlib.closing(_chosen(opened, [each - first for each in wanted])) as coming,
    ):
        for number, shown in zip(wanted, coming):
            if shown.pts != times[number]:
                break
            found[number] = frame(shown.picture.to_image())
    return found if len(found) == len(wanted) else {}


def _opened(path: Path, start: float = 0.0) -> Any:
    """Opens a file to read frames; an animated picture always from its beginning. Raises PictureError."""
    if path.suffix.lower() in ANIMATIONS:
        return Animation(path)
    from jaxgan.media.films.film import Film as FilmFile  # needs the extra `[video]`

    return FilmFile(path, start=start)


def _chosen(opened: Any, numbers: Sequence[int]) -> Generator[Any, None, None]:
    """The frames with these numbers, in order; decoding ends at the last one."""
    chosen = frozenset(numbers)
    if not isinstance(opened, Animation):
        return opened.frames(chosen=chosen)
    return (frame for number, frame in enumerate(opened.frames()) if number in chosen)


def _parts(numbers: Sequence[int], keys: Sequence[int]) -> list[list[int]]:
    """Frames in order, split where seeking to a later key frame is faster than decoding the frames between."""
    parts: list[list[int]] = []
    for number in numbers:
        before = parts[-1][-1] if parts else None
        key = keys[bisect.bisect_right(keys, number) - 1] if keys and keys[0] <= number else 0
        if before is None or key > before + NEAR:
            parts.append([])
        parts[-1].append(number)
    return parts


def _spans(borders: Sequence[int], count: int) -> list[tuple[int, int]]:
    """First frame and length of each span between borders."""
    return [(first, last - first) for first, last in pairwise([*borders, count]) if last > first]


def _changes(good: Sequence[bool]) -> list[int]:
    return [number + 1 for number, (before, after) in enumerate(pairwise(good)) if before != after]


def _runs(times: Sequence[int]) -> list[tuple[int, int, int]]:
    """Times as runs of equal steps: first, step, count."""
    runs: list[tuple[int, int, int]] = []
    for time in times:
        if runs:
            first, step, count = runs[-1]
            if count == 1 or time == first + step * count:
                runs[-1] = (first, time - first if count == 1 else step, count + 1)
                continue
        runs.append((time, 0, 1))
    return runs


def _times(runs: Sequence[tuple[int, int, int]]) -> np.ndarray:
    return np.concatenate([first + step * np.arange(count) for first, step, count in runs])


def _is_grey(picture: Picture) -> bool:
    some = picture.pixels[::LOOKED_AT, ::LOOKED_AT].astype(np.int64)
    return bool((np.ptp(some, axis=-1) * 255 <= GREY * picture.span[1]).all())


def stamp_of(stats: Iterable[tuple[str, os.stat_result]]) -> tuple[int, int, int]:
    """The stamp of a film's files, given by name: bytes, and hashes of their modification and change times."""
    size, contents, entries = 0, hashlib.sha256(), hashlib.sha256()
    for name, about in stats:
        size += about.st_size
        contents.update(f"{name} {about.st_size} {about.st_mtime_ns}\n".encode(errors="surrogateescape"))
        entries.update(f"{about.st_ctime_ns}\n".encode())
    return size, *(int(each.hexdigest()[:12], 16) for each in (contents, entries))  # type: ignore[return-value]

"""Reads animated GIF, WebP, PNG and AVIF as films, with Pillow."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from jaxgan.media.films.frames import UNTOLD, FilmFormat, Frame, Remarks, check_span, reading
from jaxgan.media.reading import Picture, PictureError, opened
from jaxgan.media.turns import ON_ITS_SIDE, orientation_of, upright

FORMATS = ("GIF", "WEBP", "PNG", "AVIF")  # those that can be animated
TIME_BASE = Fraction(1, 1000)
UNFINISHED = "it is cut off, and may have had more frames"
GIF_COMMENT = b"\xfe"
USUAL = 100.0  # milliseconds of a frame without a duration, as in browsers


def is_animated(path: str | os.PathLike[str]) -> bool:
    """Whether a picture file is an animation of several frames. False for a file that cannot be read."""
    try:
        with opened(path) as image:
            try:
                return image.format in FORMATS and bool(getattr(image, "is_animated", False))
            except Exception:  # its second frame is broken
                return True
    except Exception:  # Pillow raises any exception; whoever reads the file will report it
        return False


class Animation:
    """An animated GIF, WebP, PNG or AVIF. See `jaxgan.media.films.frames.Frames`.

    Pillow composes the frames. All are decoded once on opening, to find their times and whether any is transparent,
    since no field of the file has either.
    """

    still = turned = seeks = False
    origin = 0.0

    def __init__(self, path: str | os.PathLike[str], *, start: float = 0.0, end: float | None = None):
        """`start`, `end`: seconds. Raises PictureError, and Unfit for an impossible start."""
        self.path, self.damaged = Path(path), False
        self._notes = Remarks()
        self.remarks = self._notes.lines
        self._size, self._alpha, self._turn = (0, 0), False, 1
        self._times = [0]  # the start of each frame, and the end of the last one
        with reading():
            self._scan()
        length = self._times[-1] * TIME_BASE
        self.seconds = check_span(float(length), start, end)
        first, until = start / float(TIME_BASE), np.inf if end is None else end / float(TIME_BASE)
        begins = self._times[:-1]
        self._numbers = [number for number, time in enumerate(begins) if first - 0.5 <= time < until - 0.5]
        if not self._numbers:  # the frame that is still shown
            self._numbers = [max(number for number, time in enumerate(begins) if time <= first)]
        self.format = FilmFormat(
            width=self._size[0],
            height=self._size[1],
            rate=len(begins) / length,
            time_base=TIME_BASE,
            alpha=self._alpha,
            colours=UNTOLD.settled(self._size[1], rgb=True),
        )

    def frames(self, skip: int = 0) -> Iterator[Frame]:
        """The frames in order."""
        wanted = set(self._numbers[skip:])
        with reading():
            for number, image in self._images():
                if number > self._numbers[-1]:
                    break
                if number in wanted:
                    samples = upright(np.asarray(image.convert("RGBA" if self._alpha else "RGB")), self._turn)
                    pts = self._times[number]
                    picture = Picture(samples[..., :3], samples[..., 3:] if self._alpha else None, format="PNG")
                    yield Frame(picture, pts, self._times[number + 1] - pts)

    def count(self) -> int:
        """How many frames there are."""
        return len(self._numbers)

    def close(self) -> None:
        """Does nothing: no file stays open."""

    def _scan(self) -> None:
        exact = 0.0
        for number, image in self._images():
            self._turn = self._turn if number else orientation_of(image)
            self._size = image.size[::-1] if self._turn in ON_ITS_SIDE else image.size
            exact += float(image.info.get("duration") or USUAL)
            self._times.append(max(round(exact), self._times[-1] + 1))
            if not self._alpha and image.has_transparency_data:
                self._alpha = bool((np.asarray(image.convert("RGBA"))[..., 3] < 255).any())
        if len(self._times) == 1:
            raise PictureError("not one of its frames can be decoded")

    def _images(self) -> Iterator[tuple[int, Image.Image]]:
        """The composed frames with their numbers, up to the first that cannot be decoded."""
        count = self._stated_count()
        with opened(self.path) as image:
            number, beyond = 0, _beyond(self.path, *image.size)
            while number != count:
                if number == beyond:  # Pillow would enlarge the picture to hold it, up to gigabytes
                    self._cut(f"it is cut off: its frame {number + 1} does not fit into the picture")
                    return
                try:
                    image.seek(number)
                    image.load()
                except Exception:  # Pillow's decoders raise any exception on broken data
                    of = "" if count is None else f" of its {count}"
                    self._cut(f"it is cut off: {number}{of} frame{'s' * (of != '' or number != 1)} can be decoded")
                    return
                yield number, image
                number += 1
        if not self.damaged and unfinished(self.path):
            self._cut(UNFINISHED)

    def _stated_count(self) -> int | None:
        """The number of frames, None if they cannot be counted."""
        with opened(self.path) as image:
            try:
                return getattr(image, "n_frames", 1)
            except Exception:
                return None

    def _cut(self, why: str) -> None:
        self.damaged = True
        self._notes.report("cut", why)


def unfinished(path: Path) -> bool:
    """Whether a GIF ends before its trailer. Other formats store their length."""
    with open(path, "rb") as file:
        if file.read(3) != b"GIF":
            return False
        return None not in _gif_frames(file)


def _beyond(path: Path, width: int, height: int) -> int | None:
    """The number of a GIF's first frame that extends beyond its picture; None if there is none."""
    with open(path, "rb") as file:
        ends = _gif_frames(file) if file.read(3) == b"GIF" else iter(())
        return next((number for number, end in enumerate(ends) if end and (end[0] > width or end[1] > height)), None)


def _gif_frames(file: BinaryIO) -> Iterator[tuple[int, int] | None]:
    """The right and lower end of each frame of a GIF, found as Pillow finds them; at the end None for the trailer."""
    head = file.read(10)
    if len(head) == 10:
        _skip_palette(file, head[7])
    while kind := file.read(1):
        if kind == b";":
            yield None
            return
        if kind == b"!":
            comment = file.read(1) == GIF_COMMENT
            if _skip_block(file) or not comment:
                while _skip_block(file):
                    pass
        elif kind == b",":
            descriptor = file.read(9)
            if len(descriptor) < 9:
                return
            left, top, width, height, flags = struct.unpack("<4HB", descriptor)
            yield left + width, top + height
            _skip_palette(file, flags)
            file.seek(1, os.SEEK_CUR)
            while _skip_block(file):
                pass


def _skip_block(file: BinaryIO) -> bool:
    """Skips one data sub-block; whether it was not the empty one that ends a sequence."""
    size = file.read(1).strip(b"\0")
    if size:
        file.seek(size[0], os.SEEK_CUR)
    return bool(size)


def _skip_palette(file: BinaryIO, flags: int) -> None:
    if flags & 0x80:
        file.seek(3 << 1 + (flags & 7), os.SEEK_CUR)

"""Moving pictures in GIF, WebP, PNG and AVIF as films, through Pillow."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from jaxgan.media.films.frames import UNTOLD, FilmFormat, Frame, Remarks, check_span, reading
from jaxgan.media.reading import Picture, PictureError, opened
from jaxgan.media.turns import ON_ITS_SIDE, orientation_of, upright

FORMATS = ("GIF", "WEBP", "PNG", "AVIF")  # in which frames follow each other
TIME_BASE = Fraction(1, 1000)
UNFINISHED = "it is cut off: more frames may have been in it"
USUAL = 100.0  # milliseconds of a frame that tells none, as browsers have it


def is_animated(path: str | os.PathLike[str]) -> bool:
    """Whether a picture's file has several frames that follow each other. False for what cannot be read."""
    try:
        with opened(path) as image:
            try:
                return image.format in FORMATS and bool(getattr(image, "is_animated", False))
            except Exception:  # its second frame is broken
                return True
    except Exception:  # Pillow's readers raise what they like; who reads the file will say why
        return False


class Animation:
    """A GIF, WebP, PNG or AVIF that moves. See `jaxgan.media.films.frames.Frames`.

    Pillow composes the frames. They are decoded once on opening, for their times and for whether any is transparent:
    no field of the file tells that.
    """

    still = False

    def __init__(self, path: str | os.PathLike[str], *, start: float = 0.0, end: float | None = None):
        """Raises PictureError, and Unfit for an impossible start."""
        self.path, self.damaged = Path(path), False
        self._notes = Remarks()
        self.remarks = self._notes.lines
        self._size, self._alpha, self._turn = (0, 0), False, 1
        self._times = [0]  # where each frame begins, and where the last one ends
        with reading():
            self._scan()
        length = self._times[-1] * TIME_BASE
        self.seconds = check_span(float(length), start, end)
        first, until = start / float(TIME_BASE), np.inf if end is None else end / float(TIME_BASE)
        begins = self._times[:-1]
        self._numbers = [number for number, time in enumerate(begins) if first - 0.5 <= time < until - 0.5]
        if not self._numbers:  # the one that is still shown
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
        """Nothing is open."""

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
        """Each frame as it is shown, up to one that cannot be decoded."""
        count = self._told()
        with opened(self.path) as image:
            number = 0
            while number != count:
                try:
                    image.seek(number)
                    image.load()
                except Exception:  # Pillow's decoders raise what they like on broken data
                    of = "" if count is None else f" of its {count}"
                    self._cut(f"it is cut off: {number}{of} frame{'s' * (of != '' or number != 1)} can be decoded")
                    return
                yield number, image
                number += 1
        if not self.damaged and unfinished(self.path):
            self._cut(UNFINISHED)

    def _told(self) -> int | None:
        """How many frames there are, None where they cannot be counted."""
        with opened(self.path) as image:
            try:
                return getattr(image, "n_frames", 1)
            except Exception:
                return None

    def _cut(self, why: str) -> None:
        self.damaged = True
        self._notes.tell("cut", why)


def unfinished(path: Path) -> bool:
    """Whether a GIF ends before its trailer. Other files tell how long they are."""
    with open(path, "rb") as file:
        head = file.read(13)
        if head[:3] != b"GIF":
            return False
        _skip_palette(file, head[10])
        while kind := file.read(1):
            if kind == b";":
                return False
            if kind == b",":  # a frame, else an extension
                _skip_palette(file, (file.read(9) or b"\0")[-1])
            file.seek(1, os.SEEK_CUR)
            while size := file.read(1)[:1].strip(b"\0"):  # blocks up to one of no length
                file.seek(size[0], os.SEEK_CUR)
    return True


def _skip_palette(file: BinaryIO, flags: int) -> None:
    if flags & 0x80:
        file.seek(3 << 1 + (flags & 7), os.SEEK_CUR)

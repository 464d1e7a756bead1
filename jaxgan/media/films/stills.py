"""Pictures as films: a single picture as one frame, a folder of pictures as a sequence."""

from __future__ import annotations

import dataclasses
import math
import os
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np

from jaxgan.media.films.animations import UNFINISHED, unfinished
from jaxgan.media.films.frames import UNTOLD, USUAL_RATE, FilmFormat, Frame, Remarks, check_span, is_picture, reading
from jaxgan.media.reading import Picture, PictureError, is_deep, opened, read_picture
from jaxgan.media.turns import upright_size


class _Head:
    """What is known of a picture file before it is decoded."""

    def __init__(self, path: Path):
        """Raises PictureError."""
        try:
            with opened(path) as image:
                self.size, self.deep = upright_size(image)[::-1], is_deep(image)
                self.alpha = image.has_transparency_data
        except PictureError:
            raise
        except Exception as error:  # Pillow's readers raise any exception on broken data
            raise PictureError(
                getattr(error, "strerror", None) or "it is not an image of a known format, or it is cut off"
            ) from error


class Folder:
    """Pictures of one size as a film, read one by one. See `jaxgan.media.films.frames.Frames`."""

    still = False

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        start: float = 0.0,
        end: float | None = None,
        rate: Fraction = USUAL_RATE,
        files: Sequence[Path] | None = None,
    ):
        """`files`: the pictures (default: all in the folder). Raises PictureError, Unfit for an impossible start."""
        self.path, self.damaged = Path(path), False
        self._notes = Remarks()
        self.remarks = self._notes.lines
        self._bad = set[str]()
        with reading():
            self._files = list(files) if files is not None else picture_files(path)
        if not self._files:
            raise PictureError("it is a folder without pictures")
        rate = Fraction(rate)
        length = len(self._files) / rate
        self.seconds = check_span(float(length), start, end)
        first = min(len(self._files) - 1, math.ceil(round(start * rate, 6)))
        last = len(self._files) if end is None else min(len(self._files), math.ceil(round(end * rate, 6)))
        self._numbers = range(first, max(last, first + 1))
        self.format = self._describe(rate)
        if line := _gap_remark([self._files[number].name for number in self._numbers]):
            self._notes.report("gaps", line)

    def _describe(self, rate: Fraction) -> FilmFormat:
        size, deep, alpha = None, False, False
        for number in self._numbers:
            path = self._files[number]
            try:
                head = _Head(path)
            except PictureError as error:
                if len(self._numbers) == 1:
                    raise
                self._report(path, error)
                continue
            if size is not None and head.size != size:
                (width, height), (other, high) = head.size, size
                raise PictureError(f"{path.name} has {width} x {height} pixels, expected {other} x {high} as before it")
            size, deep, alpha = head.size, deep or head.deep, alpha or head.alpha
        if size is None:
            raise PictureError("not one of its files can be read as a picture")
        width, height = size
        colours = UNTOLD.settled(height, rgb=True)
        return FilmFormat(width, height, rate, time_base=1 / rate, deep=deep, alpha=alpha, colours=colours)

    def frames(self, skip: int = 0) -> Iterator[Frame]:
        """Yields the frames from number `skip` on; a picture that cannot be read is replaced by the previous one."""
        last: Picture | None = None
        with reading():
            for number in self._numbers[skip:]:
                last = self._read(number) or last or self._nearest(number)
                yield Frame(last, number, 1)

    def count(self) -> int:
        """How many frames there are."""
        return len(self._numbers)

    def close(self) -> None:
        """Does nothing: no file stays open."""

    def _read(self, number: int) -> Picture | None:
        path = self._files[number]
        try:
            picture = read_picture(path)
            for line in picture.remarks if self.still else ():
                self._notes.report(line, line)
            return self._uniform(picture)
        except PictureError as error:
            self._report(path, error)
            return None

    def _nearest(self, number: int) -> Picture:
        """The replacement for a picture that cannot be read: the last readable one before it, else the first after."""
        numbers = self._numbers
        for other in (*range(number - 1, numbers[0] - 1, -1), *range(number + 1, numbers[-1] + 1)):
            if (found := self._read(other)) is not None:
                return found
        raise PictureError("not one of its files can be read as a picture")

    def _uniform(self, picture: Picture) -> Picture:
        """A picture converted to the film's format: in colour, 8 or 16 bits, with or without alpha."""
        if (picture.width, picture.height) != (self.format.width, self.format.height):
            raise PictureError(f"it has {picture.width} x {picture.height} pixels, which its header does not state")
        pixels, alpha = (
            None if each is None else self._levels(each, picture) for each in (picture.pixels, picture.alpha)
        )
        assert pixels is not None
        white = 65535 if self.format.deep else 255
        if pixels.shape[2] == 1:
            pixels = pixels.repeat(3, axis=2)
        if self.format.alpha and alpha is None:
            alpha = np.full_like(pixels[..., :1], white)
        return dataclasses.replace(
            picture, pixels=pixels, alpha=alpha if self.format.alpha else None, span=(0.0, float(white))
        )

    def _levels(self, values: np.ndarray, picture: Picture) -> np.ndarray:
        dtype = np.uint16 if self.format.deep else np.uint8
        if values.dtype == dtype and picture.span == (0.0, float(np.iinfo(dtype).max)):
            return values
        black, white = picture.span
        shares = (values.astype(np.float64) - black) / (white - black)
        return np.rint(np.clip(shares, 0, 1) * np.iinfo(dtype).max).astype(dtype)

    def _report(self, path: Path, error: PictureError) -> None:
        self.damaged = True
        self._bad.add(path.name)
        more = f", {len(self._bad)} such files in all" if len(self._bad) > 1 else ""
        self._notes.report(
            "damage", f"damaged: {path.name} cannot be read ({error}), the previous one is shown instead{more}"
        )


class Still(Folder):
    """A single picture as a film of one frame, shown at all times."""

    still = True

    def __init__(self, path: str | os.PathLike[str]):
        """Raises PictureError."""
        super().__init__(path, files=[Path(path)])
        with reading():
            self.damaged = unfinished(Path(path))
        if self.damaged:
            self._notes.report("cut", UNFINISHED)


def picture_files(folder: str | os.PathLike[str]) -> list[Path]:
    """The pictures in a folder, except hidden ones, in the order of the numbers in their names."""
    found = [each for each in Path(folder).iterdir() if is_picture(each) and not each.name.startswith(".")]
    return sorted((each for each in found if each.is_file()), key=lambda each: natural(each.name))


def gaps(names: Sequence[str]) -> list[int]:
    """The indices of sorted names after which numbers are missing; none if the names are not numbered."""
    parts = [re.fullmatch(r"(.*?)(\d+)(\D*)", name) for name in names]
    numbers = [int(part[2]) for part in parts if part]
    if len(names) < 3 or len(numbers) < len(names) or len({(part[1], part[3]) for part in parts if part}) > 1:
        return []
    steps = [after - before for before, after in pairwise(numbers)]
    wide = [place for place, step in enumerate(steps) if step > min(steps)]
    return wide if min(steps) >= 1 and len(wide) <= len(steps) / 2 else []


def _gap_remark(names: Sequence[str]) -> str:
    wide = gaps(names)
    if not wide:
        return ""
    place = wide[0]
    more = f", and at {len(wide) - 1} more place{'s' * (len(wide) > 2)}" if len(wide) > 1 else ""
    return f"numbers are missing between {names[place]} and {names[place + 1]}{more}: no frames are inserted for them"


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """A sort key for names that compares numbers by value: 2 comes before 10."""
    parts = re.split(r"(\d+)", name.casefold())
    return (*((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part), (-1, 0, name))

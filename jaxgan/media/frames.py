"""Films of any kind as streams of frames: nothing holds more than a few of them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple, Protocol

from jaxgan.errors import UserError
from jaxgan.media.colours import Colours
from jaxgan.media.reading import Picture

CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}  # that are written
SUFFIXES = frozenset(  # of files that are read as films
    [*CONTAINERS, ".3g2", ".3gp", ".asf", ".avi", ".divx", ".f4v", ".flv", ".m2ts", ".mpeg", ".mpg", ".mts", ".mxf"]
) | {".nut", ".ogv", ".ts", ".vob", ".wmv", ".y4m"}
ANIMATIONS = (".apng", ".gif", ".png", ".webp")  # suffixes of pictures that may have several frames
UNTOLD = Colours()


class Frame(NamedTuple):
    """One picture of a film, and when it is shown."""

    picture: Picture
    pts: int  # when, in the film's time base
    duration: int  # 0: not told


@dataclasses.dataclass(frozen=True)
class FilmFormat:
    """What all frames of a film have in common."""

    width: int  # in pixels, upright
    height: int
    rate: Fraction | None  # frames a second on the average; None: not told
    time_base: Fraction  # seconds of one tick
    deep: bool = False  # more than 8 bits
    alpha: bool = False
    subsampling: int = 420  # of the colours: 420, 422 or 444
    colours: Colours = UNTOLD
    sample_aspect: Fraction = Fraction(1)  # width of a pixel by its height

    def enlarged(self, scale: int) -> FilmFormat:
        """The same with more pixels."""
        return dataclasses.replace(self, width=self.width * scale, height=self.height * scale)


class Frames(Protocol):
    """A film that is open. `remarks` and `damaged` grow while it is read."""

    path: Path
    format: FilmFormat
    seconds: float | None  # how long it is, as far as it tells
    remarks: list[str]  # what was done that its owner may not expect
    damaged: bool  # it is not whole
    still: bool  # it is one picture

    def frames(self, skip: int = 0) -> Iterator[Frame]:
        """The frames in the order of their times, from the one with the number `skip` on."""
        ...

    def count(self) -> int | None:
        """How many frames there are, if that can be known without decoding them."""
        ...

    def close(self) -> None:
        """Lets the file go."""
        ...


def is_film(path: str | os.PathLike[str]) -> bool:
    """Whether a file has the suffix of a film."""
    return Path(path).suffix.lower() in SUFFIXES


def open_frames(
    path: str | os.PathLike[str], *, start: float = 0.0, end: float | None = None, rate: Fraction | None = None
) -> Frames:
    """A film's size, rate and frames, from `start` to `end` in seconds; `rate` of a folder of frames.

    Raises PictureError for what cannot be read, UserError where the extra `[video]` is missing.
    """
    try:
        from jaxgan.media.films import Film
    except ImportError:
        raise UserError("films need the package av: pip install -e '.[video]'") from None
    return Film(path, start=start, end=end)

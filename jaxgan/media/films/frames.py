"""Films of any kind as streams of frames: nothing holds more than a few of them."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple, Protocol

from jaxgan.errors import UserError
from jaxgan.media import kinds
from jaxgan.media.films.colours import Colours
from jaxgan.media.films.mastering import Mastering
from jaxgan.media.reading import Picture, PictureError

CONTAINERS, SUFFIXES = kinds.CONTAINERS, kinds.FILMS  # of films that are written, and read
ANIMATIONS, PICTURES = kinds.ANIMATIONS, kinds.PICTURES
USUAL_RATE = Fraction(25)  # of a film that tells none
UNTOLD = Colours()


class Frame(NamedTuple):
    """One picture of a film, and when it is shown."""

    picture: Picture
    pts: int  # when, in the film's time base
    duration: int  # 0: not told
    key: bool = False  # a decoder can begin with it, where that is known


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
    top_left: bool = False  # colours of 4:2:0 lie on a pixel, else left, between two rows, as usual
    colours: Colours = UNTOLD
    sample_aspect: Fraction = Fraction(1)  # width of a pixel by its height
    mastering: Mastering | None = None  # of high dynamic range

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


class Remarks:
    """What was done with a film that its owner may not expect, one line a matter; the last word on it counts."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._by_matter: dict[str, str] = {}

    def tell(self, matter: str, line: str) -> None:
        """Says something, in the place of what was said of the same matter."""
        self._by_matter[matter] = line
        self.lines[:] = self._by_matter.values()

    def told(self, matter: str) -> bool:
        """Whether something was said of a matter."""
        return matter in self._by_matter


def is_film(path: str | os.PathLike[str]) -> bool:
    """Whether a file has the suffix of a film."""
    return Path(path).suffix.lower() in SUFFIXES


def is_picture(path: str | os.PathLike[str]) -> bool:
    """Whether a file has the suffix of a picture."""
    return Path(path).suffix.lower() in PICTURES


class Unfit(PictureError):
    """What was given beside a film does not fit it: a mistake in the call."""


@contextlib.contextmanager
def reading(what: str = "it", *kinds: type[Exception]) -> Iterator[None]:
    """Turns what reading may raise, and errors of further kinds, into PictureError: so it is not told as of writing."""
    expected: tuple[type[Exception], ...] = (OSError, ValueError, MemoryError, *kinds)
    try:
        yield
    except expected as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        reason = "there is not enough memory for it" if isinstance(error, MemoryError) else reason
        raise PictureError(f"{what} cannot be read: {reason}") from error


def check_span(length: float | None, start: float, end: float | None, *, exact: bool = True) -> float | None:
    """How many seconds are shown of a film with a length, which is `exact` or a guess.

    Raises Unfit for a start that is not before the end.
    """
    if not start >= 0:
        raise Unfit(f"--start: got {start:g}, expected seconds from 0 on")
    if end is not None and not end > start:
        raise Unfit(f"--end: got {end:g}, expected seconds after the start at {start:g}")
    if exact and length is not None and start and start >= length:
        raise Unfit(f"--start: got {start:g}, but the film ends after {length:.2f} seconds")
    if length is None:
        return None if end is None else end - start
    return max(0.0, (length if end is None else min(length, end)) - start)


def open_frames(
    path: str | os.PathLike[str], *, start: float = 0.0, end: float | None = None, rate: Fraction | None = None
) -> Frames:
    """A film's size, rate and frames, from `start` to `end` in seconds.

    A film is a file that FFmpeg reads; a GIF, WebP or PNG, moving or not, and any other picture (one frame); or a
    folder of pictures, which are shown at `rate` (25 a second) in the order of the numbers in their names. Raises
    PictureError for what cannot be read, Unfit for a start beyond the end, UserError where `[video]` is missing.
    """
    if Path(path).is_dir():
        from jaxgan.media.films.stills import Folder

        return Folder(path, start=start, end=end, rate=rate or USUAL_RATE)
    if is_picture(path):
        from jaxgan.media.films.animations import Animation, is_animated
        from jaxgan.media.films.stills import Still

        return Animation(path, start=start, end=end) if is_animated(path) else Still(path)
    check_extra()
    from jaxgan.media.films.film import Film

    return Film(path, start=start, end=end)


def check_extra() -> None:
    """Raises UserError where the extra `[video]` is missing."""
    try:
        import av  # noqa: F401
    except ImportError:
        raise UserError("films need the package av: pip install -e '.[video]'") from None

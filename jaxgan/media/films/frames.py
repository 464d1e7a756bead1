"""The common interface to films of any kind: streams of frames, of which only a few are in memory."""

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

CONTAINERS, SUFFIXES = kinds.CONTAINERS, kinds.FILMS  # of films that can be written, and read
ANIMATIONS, PICTURES = kinds.ANIMATIONS, kinds.PICTURES
USUAL_RATE = Fraction(25)  # frames per second of a film that states no rate
UNTOLD = Colours()


class Frame(NamedTuple):
    """One picture of a film, and its display time."""

    picture: Picture
    pts: int  # display time, in the film's time base
    duration: int  # 0: not known
    key: bool = False  # known to be a key frame


@dataclasses.dataclass(frozen=True)
class FilmFormat:
    """The properties that all frames of a film share."""

    width: int  # in pixels, upright
    height: int
    rate: Fraction | None  # average frames per second; None: not known
    time_base: Fraction  # seconds per tick
    deep: bool = False  # more than 8 bits
    alpha: bool = False
    subsampling: int = 420  # of the colours: 420, 422 or 444
    top_left: bool = False  # chroma samples of 4:2:0 are on a pixel; else at the left between two rows, the default
    colours: Colours = UNTOLD
    sample_aspect: Fraction = Fraction(1)  # width of a pixel divided by its height
    mastering: Mastering | None = None  # of HDR films

    def enlarged(self, scale: int) -> FilmFormat:
        """The same format with width and height multiplied by `scale`."""
        return dataclasses.replace(self, width=self.width * scale, height=self.height * scale)


class Frames(Protocol):
    """An open film. `remarks` and `damaged` are updated while it is read."""

    path: Path
    format: FilmFormat
    seconds: float | None  # stated duration; None: not known
    remarks: list[str]  # conversions and damage that the user may not expect
    damaged: bool  # it is incomplete or has errors
    still: bool  # it is a single picture

    def frames(self, skip: int = 0) -> Iterator[Frame]:
        """Yields the frames in display order, without the first `skip`."""
        ...

    def count(self) -> int | None:
        """The number of frames, if it is known without decoding them."""
        ...

    def close(self) -> None:
        """Closes the file."""
        ...


class Remarks:
    """Remarks on a film, one line per subject; a new line replaces the previous one on its subject."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._by_matter: dict[str, str] = {}

    def report(self, matter: str, line: str) -> None:
        """Sets the line on a subject."""
        self._by_matter[matter] = line
        self.lines[:] = self._by_matter.values()

    def reported(self, matter: str) -> bool:
        """Whether there is a line on a subject."""
        return matter in self._by_matter


def is_film(path: str | os.PathLike[str]) -> bool:
    """Whether a file has the suffix of a film."""
    return Path(path).suffix.lower() in SUFFIXES


def is_picture(path: str | os.PathLike[str]) -> bool:
    """Whether a file has the suffix of a picture."""
    return Path(path).suffix.lower() in PICTURES


class Unfit(PictureError):
    """An option or a mask that does not fit the film: a mistake of the caller, not of the file."""


@contextlib.contextmanager
def reading(what: str = "it", *kinds: type[Exception]) -> Iterator[None]:
    """Turns errors of reading, and further `kinds`, into PictureError, lest they count as errors of writing."""
    expected: tuple[type[Exception], ...] = (OSError, ValueError, MemoryError, *kinds)
    try:
        yield
    except expected as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        reason = "there is not enough memory for it" if isinstance(error, MemoryError) else reason
        raise PictureError(f"{what} cannot be read: {reason}") from error


def check_span(length: float | None, start: float, end: float | None, *, exact: bool = True) -> float | None:
    """The duration in seconds of the part from `start` to `end` of a film whose length is `exact` or a guess.

    Raises Unfit for a start that is not before the end.
    """
    if not start >= 0:
        raise Unfit(f"--start: got {start:g}, expected seconds from 0 on")
    if end is not None and not end > start:
        raise Unfit(f"--end: got {end:g}, expected seconds after the start at {start:g}")
    if exact and length is not None and start and start >= length:
        raise Unfit(f"--start: got {start:g}, expected less than the film's {length:.2f} seconds")
    if length is None:
        return None if end is None else end - start
    return max(0.0, (length if end is None else min(length, end)) - start)


def open_frames(
    path: str | os.PathLike[str], *, start: float = 0.0, end: float | None = None, rate: Fraction | None = None
) -> Frames:
    """Opens a film, from `start` to `end` in seconds.

    A film is a file that FFmpeg reads; a GIF, WebP or PNG, animated or not, and any other picture (one frame); or a
    folder of pictures, shown at `rate` (default: 25 per second) in the order of the numbers in their names. Raises
    PictureError for a film that cannot be read, Unfit for a start beyond the end, UserError if `[video]` is missing.
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
    """Raises UserError if the extra `[video]` is not installed."""
    try:
        import av  # noqa: F401
    except ImportError:
        raise UserError("films need the package av: pip install -e '.[video]'") from None

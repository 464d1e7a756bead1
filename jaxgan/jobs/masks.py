"""Where an inpainter is to fill in."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from jaxgan.jobs.partners import Partners
from jaxgan.media.films.frames import Frame, Frames, Unfit, is_film, is_picture
from jaxgan.media.reading import Picture, PictureError, read_picture

LOSSY = ("JPEG", "WEBP", "FILM")
NEAR, EXACT = 16 / 255, 1e-6  # of black to white: how far a colour can be off in a lossy file, and in others

SAME_RATE = 0.01  # by how much the rates of a film and of its masks may differ


@dataclasses.dataclass(frozen=True, eq=False)
class Masks:
    """Where to fill in: white in a picture or in what a folder has for an input (see `Partners`), or a colour."""

    path: Path | None
    color: tuple[int, int, int] | None = None  # of 255
    names: tuple[str, ...] = ()  # of all inputs

    def of(self, picture: Picture, name: str) -> tuple[np.ndarray, tuple[str, ...]]:
        """The mask of a picture, bool `[H,W,1]`, and remarks. `name`: of its file, below the folder of all inputs.

        Raises PictureError where there is none, more than one, or one of another size.
        """
        if self.color is not None:
            return _colored(picture, self.color), ()
        assert self.path is not None
        path, remarks = self.path, tuple[str, ...]()
        if path.is_dir():
            found = self._pictures.of(name)
            if found is None:
                raise PictureError(f"there is no mask of its name in {path}")
            path, remarks = found.path, () if found.remark is None else (found.remark,)
        try:
            drawn = read_picture(path)
        except PictureError as error:
            raise PictureError(f"its mask {path} cannot be used: {error}") from None
        if drawn.pixels.shape[:2] != picture.pixels.shape[:2]:
            sizes = [f"{each.width} x {each.height}" for each in (drawn, picture)]
            raise PictureError(f"its mask {path} has {sizes[0]} pixels, expected its own {sizes[1]}")
        return _white(drawn), remarks

    def of_film(self, name: str) -> tuple[Path | None, tuple[str, ...]]:
        """What a folder has for a film, a film, a picture or a folder of frames, else the folder itself; and remarks.

        Raises PictureError where more than one fits.
        """
        if self.path is None or not self.path.is_dir():
            return self.path, ()
        found = self._films.of(name)
        return (self.path, ()) if found is None else (found.path, () if found.remark is None else (found.remark,))

    @functools.cached_property
    def _pictures(self) -> Partners:
        assert self.path is not None
        return Partners(self.path, self.names, is_picture, what="mask")

    @functools.cached_property
    def _films(self) -> Partners:
        assert self.path is not None
        return Partners(
            self.path, self.names, lambda path: path.is_dir() or is_film(path) or is_picture(path), what="mask"
        )


class FilmMasks:
    """The masks of a film, frame by frame: a film, a folder of frames, one picture for all, or a colour."""

    def __init__(self, masks: Masks, name: str, source: Path, frames: Frames, open_film: Callable[..., Frames]):
        """`open_film` opens a film as the restored one was. Raises Unfit for one of another size, rate or length.

        In a folder of masks the one for the film's name counts, if there is one. The pictures of a folder are masks of
        all frames of the film, also of those before the start.
        """
        self._masks, self._name = masks, name
        path, self._told = masks.of_film(name)
        self._path = path
        self._frames: Frames | None = None
        self._left: Iterator[Frame] = iter(())
        self._before = 0  # masks of frames that are before the start
        self.remarks, self.damaged = list(self._told), False
        if path is None or not (path.is_dir() or is_film(path) or is_picture(path)):
            return
        by_number = path.is_dir() and not source.is_dir()
        drawn = open_film(path, start=not by_number, end=not by_number)
        try:
            whole = frames.count()
            if by_number:
                whole, rest = (_count(open_film(source, start=start, end=False)) for start in (False, True))
                self._before = 0 if whole is None or rest is None else whole - rest
            _check(drawn, frames, whole, path)
        except BaseException:
            drawn.close()
            raise
        if drawn.still:
            drawn.close()
        else:
            self._frames, self._by_number = drawn, by_number

    def __enter__(self) -> FilmMasks:
        return self

    def __exit__(self, *error: object) -> None:
        if self._frames is not None:
            self._frames.close()

    def of_frames(self, skip: int) -> Callable[[Picture], np.ndarray]:
        """What gives the mask of the frame with the number `skip`, and at each call that of the next one."""
        if self._frames is None:
            if self._path is None:
                return lambda picture: self._masks.of(picture, self._name)[0]
            still = None

            def same(picture: Picture) -> np.ndarray:
                nonlocal still
                still = Masks(self._path).of(picture, self._name)[0] if still is None else still
                return still

            return same
        self._left = self._frames.frames(skip + self._before)
        return lambda _: self._next()

    def finish(self, cut: bool) -> None:
        """The film, or its part up to a `cut`, has ended. Raises Unfit where masks are left that it should have."""
        if self._frames is None:
            return
        if next(self._left, None) is not None and not (cut and self._by_number):
            raise Unfit(f"its masks {self._path} go on after its end")
        self.remarks = [*self._told, *(f"its masks: {each}" for each in self._frames.remarks)]
        self.damaged = self._frames.damaged

    def _next(self) -> np.ndarray:
        frame = next(self._left, None)
        if frame is None:
            raise Unfit(f"its masks {self._path} end before it does")
        return _white(frame.picture)


def _white(drawn: Picture) -> np.ndarray:
    """Where a picture of a mask is nearer to white than to black, on which what is transparent is laid."""
    small = drawn.eight_bits()
    light = small.pixels.max(axis=2, keepdims=True)
    return light > 127 if small.alpha is None else light.astype(np.uint16) * small.alpha > 127 * 255


def _count(frames: Frames) -> int | None:
    try:
        return frames.count()
    finally:
        frames.close()


def _check(drawn: Frames, film: Frames, count: int | None, path: Path) -> None:
    """Raises Unfit for masks that do not fit a film, of which they cover `count` frames."""
    sizes = [f"{each.format.width} x {each.format.height}" for each in (drawn, film)]
    if sizes[0] != sizes[1]:
        raise Unfit(f"its masks {path} have {sizes[0]} pixels, expected {sizes[1]}")
    if drawn.still:
        return
    drawn_rate, rate = drawn.format.rate, film.format.rate
    if not path.is_dir() and drawn_rate and rate and abs(drawn_rate / rate - 1) > SAME_RATE:
        raise Unfit(f"its masks {path} have {float(drawn_rate):g} frames a second, expected {float(rate):g}")
    found = drawn.count()
    if None not in (found, count) and found != count:
        raise Unfit(f"its masks {path} have {found} frames, expected {count}")


def _colored(picture: Picture, color: tuple[int, int, int]) -> np.ndarray:
    """Where a picture has a colour, in lossy files about."""
    black, white = picture.span
    off = (NEAR if picture.format in LOSSY else EXACT) * (white - black)
    found = np.ones((picture.height, picture.width), bool)
    for channel, level in enumerate(color):
        values, wanted = picture.pixels[..., min(channel, picture.channels - 1)], black + level / 255 * (white - black)
        found &= (values >= wanted - off) & (values <= wanted + off)
    return found[..., None]

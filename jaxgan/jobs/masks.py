"""Masks of pictures and films: the regions that an inpainter fills in."""

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
NEAR, EXACT = 16 / 255, 1e-6  # tolerance of a colour, as a share of black to white, in lossy and in other files

SAME_RATE = 0.01  # relative difference that is allowed between the frame rates of a film and of its masks


@dataclasses.dataclass(frozen=True, eq=False)
class Masks:
    """Where to fill in: the white of a picture, or of the file that a folder has for an input, or a colour.

    `Partners` finds the file in a folder.
    """

    path: Path | None
    color: tuple[int, int, int] | None = None  # red, green, blue in [0, 255]
    names: tuple[str, ...] = ()  # of all inputs

    def of(self, picture: Picture, name: str) -> tuple[np.ndarray, tuple[str, ...]]:
        """The mask of a picture, bool `[H,W,1]`, and remarks. `name`: its path relative to the input folder.

        Raises PictureError if there is no mask, more than one, or one of another size.
        """
        if self.color is not None:
            return _colored(picture, self.color), ()
        assert self.path is not None
        path, remarks = self.path, tuple[str, ...]()
        if path.is_dir():
            found = self._pictures.of(name)
            if found is None:
                raise PictureError(f"there is no mask with its name in {path}")
            path, remarks = found.path, () if found.remark is None else (found.remark,)
        try:
            drawn = read_picture(path)
        except PictureError as error:
            raise PictureError(f"its mask {path} cannot be used: {error}") from None
        if drawn.pixels.shape[:2] != picture.pixels.shape[:2]:
            sizes = [f"{each.width} x {each.height}" for each in (drawn, picture)]
            raise PictureError(f"its mask {path} has {sizes[0]} pixels, expected {sizes[1]} as in the picture")
        return _white(drawn), remarks

    def of_film(self, name: str) -> tuple[Path | None, tuple[str, ...]]:
        """The path of a film's masks, and remarks.

        That is the film, picture or folder of frames which the mask folder has for it, else the mask folder itself.
        Raises PictureError if more than one matches.
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
        """`open_film` opens a film with the options of the restored one.

        In a folder of masks, the one with the film's name is used, if there is one. The pictures of a folder are masks
        of all frames of the film, including those before the start. Raises Unfit for masks of another size, rate or
        length.
        """
        self._masks, self._name = masks, name
        path, self._partner_remarks = masks.of_film(name)
        self._path = path
        self._frames: Frames | None = None
        self._left: Iterator[Frame] = iter(())
        self._before = 0  # number of masks for frames before the start
        self.remarks, self.damaged = list(self._partner_remarks), False
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
        """A function that returns the mask of frame number `skip`, and at each further call that of the next frame."""
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
        """Call at the end of the film, or of its part up to `--end` (`cut`). Raises Unfit if masks are left over."""
        if self._frames is None:
            return
        if next(self._left, None) is not None and not (cut and self._by_number):
            raise Unfit(f"its masks {self._path} continue after its end")
        self.remarks = [*self._partner_remarks, *(f"its masks: {each}" for each in self._frames.remarks)]
        self.damaged = self._frames.damaged

    def _next(self) -> np.ndarray:
        frame = next(self._left, None)
        if frame is None:
            raise Unfit(f"its masks {self._path} end before it does")
        return _white(frame.picture)


def _white(drawn: Picture) -> np.ndarray:
    """Where a mask picture, composited onto black, is nearer to white than to black."""
    small = drawn.eight_bits()
    light = small.pixels.max(axis=2, keepdims=True)
    return light > 127 if small.alpha is None else light.astype(np.uint16) * small.alpha > 127 * 255


def _count(frames: Frames) -> int | None:
    try:
        return frames.count()
    finally:
        frames.close()


def _check(drawn: Frames, film: Frames, count: int | None, path: Path) -> None:
    """Raises Unfit for masks that do not fit `count` frames of a film."""
    sizes = [f"{each.format.width} x {each.format.height}" for each in (drawn, film)]
    if sizes[0] != sizes[1]:
        raise Unfit(f"its masks {path} have {sizes[0]} pixels, expected {sizes[1]}")
    if drawn.still:
        return
    drawn_rate, rate = drawn.format.rate, film.format.rate
    if not path.is_dir() and drawn_rate and rate and abs(drawn_rate / rate - 1) > SAME_RATE:
        raise Unfit(f"its masks {path} have {float(drawn_rate):g} frames per second, expected {float(rate):g}")
    found = drawn.count()
    if None not in (found, count) and found != count:
        raise Unfit(f"its masks {path} have {found} frames, expected {count}")


def _colored(picture: Picture, color: tuple[int, int, int]) -> np.ndarray:
    """Where a picture has a colour; in lossy files approximately."""
    black, white = picture.span
    off = (NEAR if picture.format in LOSSY else EXACT) * (white - black)
    found = np.ones((picture.height, picture.width), bool)
    for channel, level in enumerate(color):
        values, wanted = picture.pixels[..., min(channel, picture.channels - 1)], black + level / 255 * (white - black)
        found &= (values >= wanted - off) & (values <= wanted + off)
    return found[..., None]

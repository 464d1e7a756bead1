"""Where an inpainter is to fill in."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgan.media.reading import Picture, PictureError, read_picture

LOSSY = ("JPEG", "WEBP", "FILM")
NEAR, EXACT = 16 / 255, 1e-6  # of black to white: how far a colour can be off in a lossy file, and in others


class Masks(NamedTuple):
    """Where to fill in: white in a picture or in a folder's picture of the same name, or a colour."""

    path: Path | None
    color: tuple[int, int, int] | None = None  # of 255

    def of(self, picture: Picture, source: Path) -> np.ndarray:
        """The mask of a picture: bool `[H,W,1]`. Raises PictureError where there is none, or one of another size."""
        if self.color is not None:
            return _colored(picture, self.color)
        assert self.path is not None
        path = self.path
        if path.is_dir():
            found = sorted(each for each in path.iterdir() if each.stem == source.stem and each.is_file())
            if not found:
                raise PictureError(f"there is no mask of its name in {path}")
            path = found[0]
        try:
            drawn = read_picture(path).eight_bits()
        except PictureError as error:
            raise PictureError(f"its mask {path} cannot be used: {error}") from None
        if drawn.pixels.shape[:2] != picture.pixels.shape[:2]:
            sizes = [f"{each.width} x {each.height}" for each in (drawn, picture)]
            raise PictureError(f"its mask {path} has {sizes[0]} pixels, accepted are its own {sizes[1]}")
        return drawn.pixels.max(axis=2, keepdims=True) > 127


def _colored(picture: Picture, color: tuple[int, int, int]) -> np.ndarray:
    """Where a picture has a colour, in lossy files about."""
    black, white = picture.span
    off = (NEAR if picture.format in LOSSY else EXACT) * (white - black)
    found = np.ones((picture.height, picture.width), bool)
    for channel, level in enumerate(color):
        values, wanted = picture.pixels[..., min(channel, picture.channels - 1)], black + level / 255 * (white - black)
        found &= (values >= wanted - off) & (values <= wanted + off)
    return found[..., None]

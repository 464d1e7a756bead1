"""The orientation of stored pictures: the turn that EXIF specifies, and the size after it."""

from __future__ import annotations

import os
import struct
from typing import IO

import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile

ORIENTATION = 0x0112  # EXIF's tag
ON_ITS_SIDE = (5, 6, 7, 8)  # orientations that swap height and width


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation of an opened image, 1 (upright) to 8, if decoding does not apply it itself.

    An EXIF block that cannot be read, and an orientation that EXIF does not define, count as 1.
    """
    try:
        return _defined(image.getexif().get(ORIENTATION, 1))
    except Exception:  # cameras and editors write invalid EXIF
        return 1


def upright_size(image: ImageFile) -> tuple[int, int]:
    """Height and width, after the turn, of an image that is opened but not decoded."""
    width, height = image.size
    if image.format == "TIFF":  # Pillow turns TIFF itself, and has already swapped the sides
        return height, width
    late = image.format == "PNG" and "exif" not in image.info  # for EXIF after the pixels Pillow would decode them
    turn = _behind_pixels(image.fp) if late and image.fp is not None else orientation_of(image)
    return (width, height) if turn in ON_ITS_SIDE else (height, width)


def upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """The array `[H,W,C]` turned and mirrored by an EXIF orientation."""
    if orientation in ON_ITS_SIDE:
        array = array.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return np.ascontiguousarray(array)


def _defined(orientation: object) -> int:
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1


def _behind_pixels(file: IO[bytes]) -> int:
    """The orientation in an EXIF chunk anywhere in a PNG; the file position is restored."""
    place = file.tell()
    try:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            length, name = struct.unpack(">I4s", head)
            if name == b"eXIf":
                exif = Image.Exif()
                exif.load(b"Exif\0\0" + file.read(length))
                return _defined(exif.get(ORIENTATION, 1))
            file.seek(length + 4, os.SEEK_CUR)
    except Exception:  # as above
        return 1
    finally:
        file.seek(place)
    return 1

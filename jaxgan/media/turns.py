"""How a picture lies in its file: the turn that EXIF asks for, and its size when that is made."""

from __future__ import annotations

import os
import struct
from typing import IO

import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile

ORIENTATION = 0x0112  # EXIF's tag
ON_ITS_SIDE = (5, 6, 7, 8)  # orientations of which height is stored as width


def orientation_of(image: Image.Image) -> int:
    """The turn of an opened image, from 1 (none) to 8, that decoding does not make; 1 for what EXIF does not define.

    An EXIF block that cannot be read, and an orientation of 0, 9 or 65535 or of another type, turn nothing.
    """
    try:
        return _defined(image.getexif().get(ORIENTATION, 1))
    except Exception:  # cameras and editors write what they like
        return 1


def upright_size(image: ImageFile) -> tuple[int, int]:
    """Height and width of an image, once it is upright, that is opened and not yet decoded."""
    width, height = image.size
    if image.format == "TIFF":  # Pillow turns it, and has swapped its sides
        return height, width
    late = image.format == "PNG" and "exif" not in image.info  # Pillow would decode it to look behind the pixels
    turn = _behind_pixels(image.fp) if late and image.fp is not None else orientation_of(image)
    return (width, height) if turn in ON_ITS_SIDE else (height, width)


def upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """The array `[H,W,C]` turned and mirrored as an EXIF orientation asks for."""
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
    """The turn that a chunk of EXIF anywhere in a PNG asks for; the file stays at its place."""
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

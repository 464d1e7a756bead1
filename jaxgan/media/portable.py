"""Reads PGM and PPM of any maxval (netpbm's P2, P3, P5 and P6). Pillow reads their colours as 8 bits, and slowly."""

from __future__ import annotations

import re

import numpy as np
from PIL.ImageFile import ImageFile

BANDS = {"L": 1, "I": 1, "RGB": 3}
PLAIN = "ppm_plain"  # the numbers are text


def maxval(image: ImageFile) -> int | None:
    """The value of white in an opened file, 1 to 65535; None for other formats, and for files Pillow reads well."""
    if image.format != "PPM" or image.mode not in BANDS or not getattr(image, "tile", None):
        return None
    arguments = image.tile[0].args
    return arguments[1] if isinstance(arguments, tuple) else 65535 if arguments == "I;16B" else None


def read_samples(image: ImageFile, remarks: list[str]) -> np.ndarray:
    """The samples of a file with a `maxval`: `[H,W,1|3]`, uint8 for a maxval up to 255, else uint16, at full scale.

    Raises ValueError if the file is cut off or contains anything but numbers.
    """
    white = maxval(image)
    assert white is not None
    file = image.fp
    assert file is not None  # the image is open
    tile, bands = image.tile[0], BANDS[image.mode]
    count, wide = image.width * image.height * bands, white > 255
    file.seek(tile.offset)
    if tile.codec_name == PLAIN:
        text = re.sub(rb"#[^\r\n]*", b"", file.read())
        if re.search(rb"[^0-9\s]", text):
            raise ValueError("it is damaged: it contains text that is not a number")
        values = np.fromstring(text, np.int64, sep=" ")[:count] if text.strip() else np.zeros(0, np.int64)
    else:
        content = file.read(count * (1 + wide))
        values = np.frombuffer(content[: len(content) // (1 + wide) * (1 + wide)], ">u2" if wide else np.uint8)
    if len(values) < count:
        raise ValueError("it is cut off")
    if over := int((values > white).sum()):
        remarks.append(f"{over:,} values above its white of {white}, clipped")
        values = np.minimum(values, white)
    full, dtype = (65535, np.uint16) if wide else (255, np.uint8)
    levels = values.astype(dtype) if white == full else np.rint(values * (full / white)).astype(dtype)
    return levels.reshape(image.height, image.width, bands)

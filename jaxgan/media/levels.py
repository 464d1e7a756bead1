"""The black and white levels of grey pictures of more than 8 bits.

They follow from the sample type alone, never from the values. Values outside are clipped, with a remark.

| type | black | white |
|---|---|---|
| unsigned integers of n bits | 0 | 2^n - 1 |
| signed integers of n bits | 0 | 2^(n-1) - 1 |
| signed or unsigned integers of 32 bits | 0 | 65535, as Pillow writes them to PNG and PGM |
| floats | 0 | 1 |

A TIFF's SMinSampleValue and SMaxSampleValue override the last two rows. A TIFF in which white is 0 is inverted.
Floats that are mostly above 1, in a file that does not define white, are refused: clipping would make them all white.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

Span = tuple[float, float]
BITS_PER_SAMPLE, PHOTOMETRIC, SAMPLE_FORMAT, SMALLEST, LARGEST = 258, 262, 339, 340, 341  # TIFF's tags
SIGNED = (2,)  # a SAMPLE_FORMAT
DEEP = ("I", "F")  # prefixes of Pillow's modes of deep grey
UNTOLD = {"I": "integers of 32 bits", "F": "floats"}  # types that do not define white, by mode


def is_deep_grey(image: Image.Image) -> bool:
    """Whether an opened or decoded image has one channel of more than 8 bits."""
    return image.mode.startswith(DEEP)


def is_short(image: Image.Image) -> bool:
    """Whether an opened, undecoded image has signed 16-bit integers, which Pillow reads as 32 bits."""
    return image.mode == "I" and any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))


def deep_grey(image: Image.Image, short: bool, remarks: list[str]) -> tuple[np.ndarray, Span]:
    """A decoded deep grey image as uint16 or float32 `[H,W,1]`, with its span; see the table above.

    `short`: the result of `is_short` before decoding. Raises ValueError for floats whose white is not known.
    """
    values, tags = np.asarray(image)[..., None], getattr(image, "tag_v2", {})
    inverted = tags.get(PHOTOMETRIC) == 0  # white is 0: Pillow inverts 8-bit images only
    if image.mode not in UNTOLD:
        values = values.astype(np.uint16)
        if tags.get(BITS_PER_SAMPLE) == (12,):
            values = np.rint(values * (65535 / 4095)).astype(np.uint16)
        return (65535 - values if inverted else values), (0.0, 65535.0)
    if image.mode == "F":
        values = _finite(values.astype(np.float32), remarks)
    elif image.format == "TIFF" and tags.get(SAMPLE_FORMAT, (1,)) != SIGNED:
        values = values.view(np.uint32)  # Pillow has no unsigned 32-bit type
    black, white = (0.0, 32767.0) if short else _tagged_span(tags) or (0.0, _white(values))
    if not short:
        remarks.append(f"{UNTOLD[image.mode]}, with {black:g} read as black and {white:g} as white")
    values = clipped(values, (black, white), remarks)
    values = np.float64(black) + np.float64(white) - values if inverted else values
    if image.mode == "F":
        return values.astype(np.float32), (black, white)
    return np.rint((values - black) * (65535 / (white - black))).astype(np.uint16), (0.0, 65535.0)


def signed_bytes(samples: np.ndarray, image: Image.Image, remarks: list[str]) -> np.ndarray:
    """The 8-bit samples of a decoded image; signed ones of a TIFF are scaled as in the table."""
    if image.mode != "L" or getattr(image, "tag_v2", {}).get(SAMPLE_FORMAT) != SIGNED:
        return samples
    values = clipped(samples.view(np.int8), (0.0, 127.0), remarks)
    return np.rint(values * (255 / 127)).astype(np.uint8)


def clipped(values: np.ndarray, span: Span, remarks: list[str]) -> np.ndarray:
    """The values clipped to black and white, with a remark on how many were outside."""
    for outside, where, name in ((values < span[0], "below", "black"), (values > span[1], "above", "white")):
        if count := int(outside.sum()):
            edge = span[name == "white"]
            remarks.append(f"{count:,} value{'s' * (count > 1)} {where} {edge:g}, read as {name}")
    return np.clip(values, *span)


def _white(values: np.ndarray) -> float:
    if values.dtype != np.float32:
        return 65535.0
    if 2 * int((values > 1).sum()) > int((values > 0).sum()):
        raise ValueError(
            f"got floats up to {values.max():g}, expected white at 1: divide them by their white level, or store it "
            "in the file (TIFF's SMinSampleValue and SMaxSampleValue)"
        )
    return 1.0


def _tagged_span(tags: Mapping[int, Any]) -> Span | None:
    """Black and white from a TIFF's tags; None if they are missing or not valid for one sample."""
    found = [tags.get(tag) for tag in (SMALLEST, LARGEST)]
    try:
        low, high = (float(each[0] if isinstance(each, tuple) else each) for each in found if each is not None)
    except (TypeError, ValueError, IndexError):
        return None
    return (low, high) if np.isfinite([low, high]).all() and low < high else None


def _finite(values: np.ndarray, remarks: list[str]) -> np.ndarray:
    if np.isfinite(values).all():
        return values
    remarks.append("values that are not finite, which are read as black")
    return np.where(np.isfinite(values), values, np.float32(0))

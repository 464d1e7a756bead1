"""Black and white of deep grey: the file's type tells them, never the values. What lies outside is clipped and told.

| type | black | white |
|---|---|---|
| integers of n bits, without a sign | 0 | 2^n - 1 |
| integers of n bits, with a sign | 0 | 2^(n-1) - 1 |
| integers of 32 bits, with a sign or without | 0 | 65535, as Pillow has it where it writes them as PNG and PGM |
| floats | 0 | 1 |

A TIFF's own SMinSampleValue and SMaxSampleValue go before the last two rows. A TIFF in which white is 0 is inverted.
Floats that mostly lie above 1 and do not say what is white are refused: clipped, they would be a white picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

Span = tuple[float, float]
BITS_PER_SAMPLE, PHOTOMETRIC, SAMPLE_FORMAT, SMALLEST, LARGEST = 258, 262, 339, 340, 341  # TIFF's tags
SIGNED = (2,)  # a SAMPLE_FORMAT
DEEP = ("I", "F")  # what Pillow's modes of deep grey begin with
UNTOLD = {"I": "integers of 32 bits", "F": "floats"}  # types that leave white open, by mode


def is_deep_grey(image: Image.Image) -> bool:
    """Whether an opened or decoded image has one channel of more than 8 bits."""
    return image.mode.startswith(DEEP)


def is_short(image: Image.Image) -> bool:
    """Whether an opened image, not yet decoded, has integers of 16 bits with a sign, which Pillow reads as of 32."""
    return image.mode == "I" and any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))


def deep_grey(image: Image.Image, short: bool, remarks: list[str]) -> tuple[np.ndarray, Span]:
    """A decoded image of deep grey as uint16 or float32 `[H,W,1]`, with its span; see the table above.

    `short`: what `is_short` was before it was decoded. Raises ValueError for floats whose white nobody knows.
    """
    values, tags = np.asarray(image)[..., None], getattr(image, "tag_v2", {})
    inverted = tags.get(PHOTOMETRIC) == 0  # white is 0: Pillow sees to it in 8 bits only
    if image.mode not in UNTOLD:
        values = values.astype(np.uint16)
        if tags.get(BITS_PER_SAMPLE) == (12,):
            values = np.rint(values * (65535 / 4095)).astype(np.uint16)
        return (65535 - values if inverted else values), (0.0, 65535.0)
    if image.mode == "F":
        values = _finite(values.astype(np.float32), remarks)
    elif image.format == "TIFF" and tags.get(SAMPLE_FORMAT, (1,)) != SIGNED:
        values = values.view(np.uint32)  # Pillow has no other type for them
    black, white = (0.0, 32767.0) if short else _told(tags) or (0.0, _white(values))
    if not short:
        remarks.append(f"{UNTOLD[image.mode]}, of which {black:g} is read as black and {white:g} as white")
    values = clipped(values, (black, white), remarks)
    values = np.float64(black) + np.float64(white) - values if inverted else values
    if image.mode == "F":
        return values.astype(np.float32), (black, white)
    return np.rint((values - black) * (65535 / (white - black))).astype(np.uint16), (0.0, 65535.0)


def signed_bytes(samples: np.ndarray, image: Image.Image, remarks: list[str]) -> np.ndarray:
    """8-bit samples of a decoded image; those that have a sign in their TIFF as the table has them."""
    if image.mode != "L" or getattr(image, "tag_v2", {}).get(SAMPLE_FORMAT) != SIGNED:
        return samples
    values = clipped(samples.view(np.int8), (0.0, 127.0), remarks)
    return np.rint(values * (255 / 127)).astype(np.uint8)


def clipped(values: np.ndarray, span: Span, remarks: list[str]) -> np.ndarray:
    """Values between black and white; how many were not goes to the remarks."""
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
            f"its floats go up to {values.max():g}, and white is 1: divide them by their white, or write that into the "
            "file (TIFF's SMinSampleValue and SMaxSampleValue)"
        )
    return 1.0


def _told(tags: Mapping[int, Any]) -> Span | None:
    """Black and white as a TIFF tells them; None where it does not, or not of one sample."""
    found = [tags.get(tag) for tag in (SMALLEST, LARGEST)]
    try:
        low, high = (float(each[0] if isinstance(each, tuple) else each) for each in found if each is not None)
    except (TypeError, ValueError, IndexError):
        return None
    return (low, high) if np.isfinite([low, high]).all() and low < high else None


def _finite(values: np.ndarray, remarks: list[str]) -> np.ndarray:
    if np.isfinite(values).all():
        return values
    remarks.append("values that are not finite, read as black")
    return np.where(np.isfinite(values), values, np.float32(0))

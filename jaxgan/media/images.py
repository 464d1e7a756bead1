"""Conversion of arrays to pictures, and the functions that write image files."""

from __future__ import annotations

import io
import os
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from jaxgan.errors import UserError
from jaxgan.media.kinds import FORMATS
from jaxgan.media.provenance.origin import Origin, mark_bytes
from jaxgan.system.whole_files import replace_file

OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 95},
}
TRANSPARENT = ("PNG", "TIFF", "WEBP")
LARGEST_SIDE = {"JPEG": 65500, "WEBP": 16383}  # pixels: libjpeg's limit, and WebP's 14 bits
LARGEST_FILE = {"TIFF": 2**32 - 2**20, "BMP": 2**32 - 2**20}  # bytes of samples, which are stored uncompressed
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}  # by number of channels


def to_uint8(image: ArrayLike) -> np.ndarray:
    """Converts images `[..., H, W, C]` from floats in [-1, 1] to uint8 in [0, 255]; uint8 is returned unchanged.

    Values outside [-1, 1] are clipped, NaN becomes mid-grey. Raises ValueError for another type or shape.
    """
    array = np.asarray(image)
    if array.ndim < 3 or array.shape[-1] not in MODES:
        raise ValueError(f"got an image of shape {array.shape}, expected [..., H, W, C] with 1 to 4 channels")
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind not in "fV":  # V: NumPy has no bfloat16 of its own
        raise ValueError(f"got an image of {array.dtype}, expected floats in [-1, 1] or uint8")
    levels = (np.nan_to_num(array.astype(np.float32), nan=0.0) + 1.0) * 127.5
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)


def opaque(image: np.ndarray) -> np.ndarray:
    """Composites uint8 or uint16 `[..., H, W, C]` onto white: LA becomes L, and RGBA becomes RGB."""
    if image.shape[-1] in (1, 3):
        return image
    white = np.float32(np.iinfo(image.dtype).max)
    color, alpha = image[..., :-1].astype(np.float32), image[..., -1:].astype(np.float32) / white
    return np.rint(white + (color - white) * alpha).astype(image.dtype)


def too_large(kind: str, height: int, width: int, channels: int, itemsize: int = 1) -> str | None:
    """Why a format cannot hold a picture of this size; None if it can. `itemsize`: bytes per sample."""
    limit = LARGEST_SIDE.get(kind, 2**31 - 1)
    if max(height, width) > limit:
        return f"got {width} x {height} pixels, expected at most {limit:,} along a side in {kind}"
    size = height * width * channels * itemsize
    if size > LARGEST_FILE.get(kind, size):
        return f"got {size:,} bytes of samples, expected at most 4 GB in {kind}; write PNG instead"
    return None


def save_image(image: ArrayLike, path: str | os.PathLike[str], origin: Origin | None = None) -> tuple[str, ...]:
    """Writes one picture `[H, W, C]` (float in [-1, 1] or uint8, 1 to 4 channels) in the format of the path's suffix.

    Formats without transparency get the picture composited onto white. `origin` is written into the file; returns
    remarks about what could not be written (see `mark_file`). Writing is atomic, and missing folders are created.
    Raises UserError for a suffix that cannot be written, and for a picture too large for its format.
    """
    array = to_uint8(image)
    if array.ndim != 3:
        raise ValueError(f"got a picture of shape {array.shape}, expected [H, W, C]")
    suffix = PurePath(path).suffix.lower()
    if suffix not in FORMATS:
        raise UserError(f"{os.fspath(path)}: got suffix {suffix!r}, expected one of {', '.join(FORMATS)}")
    kind = FORMATS[suffix]
    if why := too_large(kind, *array.shape):
        raise UserError(f"{os.fspath(path)}: {why}")
    array = array if kind in TRANSPARENT else opaque(array)
    picture = Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array)
    buffer = io.BytesIO()
    picture.save(buffer, format=kind, **OPTIONS.get(kind, {}))
    content, remarks = mark_bytes(buffer.getvalue(), suffix, origin, title=PurePath(path).name)
    replace_file(path, content)
    return remarks

"""Pictures as arrays, and the one function that writes them to image files."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from etils import epath
from PIL import Image

from jaxgan.errors import UserError
from jaxgan.media.kinds import FORMATS
from jaxgan.media.provenance.origin import Origin, mark_bytes
from jaxgan.system.paths import is_remote, new_file_beside

OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 95},
}
TRANSPARENT = ("PNG", "TIFF", "WEBP")
LARGEST_SIDE = {"JPEG": 65500, "WEBP": 16383}  # libjpeg's own limit, and 14 bits
LARGEST_FILE = {"TIFF": 2**32 - 2**20, "BMP": 2**32 - 2**20}  # bytes of samples, which stand there as they are
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}  # by number of channels


def to_uint8(image: Any) -> np.ndarray:
    """An image or images `[..., H, W, C]`: floats in [-1, 1] become uint8 in [0, 255], uint8 stays as it is.

    What lies outside [-1, 1] is clipped, NaN is drawn as mid-grey. ValueError for another type or shape.
    """
    array = np.asarray(image)
    if array.ndim < 3 or array.shape[-1] not in MODES:
        raise ValueError(f"an image is [..., H, W, C] with 1 to 4 channels, got shape {array.shape}")
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind not in "fV":  # V: bfloat16 is a type that numpy does not know
        raise ValueError(f"an image is float in [-1, 1] or uint8, got {array.dtype}")
    levels = (np.nan_to_num(array.astype(np.float32), nan=0.0) + 1.0) * 127.5
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)


def opaque(image: np.ndarray) -> np.ndarray:
    """uint8 or uint16 `[..., H, W, C]` on white paper: grey with alpha becomes grey, RGB with alpha becomes RGB."""
    if image.shape[-1] in (1, 3):
        return image
    white = np.float32(np.iinfo(image.dtype).max)
    color, alpha = image[..., :-1].astype(np.float32), image[..., -1:].astype(np.float32) / white
    return np.rint(white + (color - white) * alpha).astype(image.dtype)


def too_large(kind: str, height: int, width: int, channels: int, itemsize: int = 1) -> str | None:
    """Why a format does not hold a picture of a size; None where it does. `itemsize`: bytes of a sample."""
    limit = LARGEST_SIDE.get(kind, 2**31 - 1)
    if max(height, width) > limit:
        return f"{kind} holds at most {limit:,} pixels along a side, this has {width} x {height}"
    size = height * width * channels * itemsize
    if size > LARGEST_FILE.get(kind, size):
        return f"{kind} holds at most 4 GB, this has {size:,} bytes; write PNG"
    return None


def save_image(image: Any, path: str | os.PathLike[str], origin: Origin | None = None) -> tuple[str, ...]:
    """Writes one picture `[H, W, C]` (float in [-1, 1] or uint8, 1 to 4 channels) in the format of the path's suffix.

    Transparency is laid on white where the format has none. `origin` is what made it, which is written into the file;
    remarks about what could not be (see `mark_file`). The file is there whole or not at all; missing folders are made.
    Raises UserError for a suffix that is not written, and for more pixels along a side than the format holds.
    """
    array = to_uint8(image)
    if array.ndim != 3:
        raise ValueError(f"one picture is [H, W, C], got shape {array.shape}")
    suffix = PurePath(path).suffix.lower()
    if suffix not in FORMATS:
        got = f"a picture cannot be written as {suffix!r}, expected one of {', '.join(FORMATS)}"
        raise UserError(f"{os.fspath(path)}: {got}")
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


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A path to write to instead: it takes the place of `path` in one move at the end, or goes if there is an error.

    A link of that name is replaced itself, what it leads to stays as it is.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = new_file_beside(target)
    try:
        yield part
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def replace_file(path: str | os.PathLike[str], content: bytes) -> None:
    """Writes a file in one move, so that no reader ever sees half of it; missing folders are made."""
    if not is_remote(path):
        with replacing(path) as part:
            part.write_bytes(content)
        return
    target = epath.Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    remote = target.parent / f".{secrets.token_hex(8)}.part"
    try:
        remote.write_bytes(content)
        remote.replace(target)
    finally:
        remote.unlink(missing_ok=True)

"""Writes pictures with their depth, channels, alpha, colour profile and EXIF preserved if the format allows it.

Pillow writes pictures of 8 bits and 16-bit grey TIFF. Pillow 13 still has no mode for 16-bit colour, and copies the
whole picture to encode it, so 16-bit or large PNG and 16-bit colour TIFF are written here by rows; tifffile would cover
TIFF only, and is not a dependency.
"""

from __future__ import annotations

import dataclasses
import os
import struct
import zlib
from pathlib import PurePath
from typing import IO

import numpy as np
from PIL import Image

from jaxgan.media.images import OPTIONS, TRANSPARENT, opaque, too_large
from jaxgan.media.kinds import FORMATS
from jaxgan.media.provenance.origin import Origin, mark_file
from jaxgan.media.reading import Picture, PictureError
from jaxgan.system.whole_files import replacing

DEEP, DESCRIBED = ("PNG", "TIFF"), ("PNG", "JPEG", "TIFF", "WEBP")
EXIF_JPEG = 65533  # bytes: the most that a JPEG holds
EXIF_IFD, EXIF_WIDTH, EXIF_HEIGHT = 0x8769, 0xA002, 0xA003
PNG_COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}  # by number of channels
PNG_ROWS = 64  # filtered at once
STREAMED = 2**26  # bytes; larger PNGs are written by rows, because Pillow would copy the whole picture


def write_picture(path: str | os.PathLike[str], picture: Picture, origin: Origin | None = None) -> tuple[str, ...]:
    """Writes a picture in the format of the path's suffix (one of FORMATS); returns remarks on what was lost.

    JPEG and WebP are written at quality 95, JPEG without chroma subsampling. `origin` is written into the file; the
    remarks include what of it could not be written (see `mark_file`). Writing is atomic, and missing folders are
    created. Raises PictureError for a suffix or a size that cannot be written, and OSError.
    """
    suffix = PurePath(path).suffix.lower()
    if suffix not in FORMATS:
        raise PictureError(f"got suffix {suffix!r}, expected one of {', '.join(FORMATS)}")
    kind, lost = FORMATS[suffix], list[str]()
    check_fits(path, picture)
    picture = _fitted(picture, kind, lost)
    exif = _sized(picture, lost)
    deep = picture.pixels.dtype == np.uint16
    with replacing(path) as part:
        with open(part, "wb") as file:
            if kind == "PNG" and (deep or picture.pixels.nbytes > STREAMED):
                _write_png(file, picture, exif)
            elif deep and picture.channels > 1:
                if exif:
                    lost.append("EXIF is not kept in TIFF of 16-bit colour")
                _write_tiff(file, picture)
            else:
                described = {"icc_profile": picture.icc, "exif": exif} if kind in DESCRIBED else {}
                options = {name: value for name, value in described.items() if value} | OPTIONS.get(kind, {})
                samples = _samples(picture, slice(None))
                image = Image.fromarray(np.ascontiguousarray(samples[..., 0] if samples.shape[2] == 1 else samples))
                image.save(file, format=kind, **options)
        if origin is not None:
            lost += mark_file(part, suffix, origin, title=PurePath(path).name)
    return tuple(lost)


def check_fits(path: str | os.PathLike[str], picture: Picture, scale: int = 1) -> None:
    """Raises PictureError if a picture, enlarged by `scale`, is too large for the format of the path's suffix."""
    kind = FORMATS[PurePath(path).suffix.lower()]
    channels = picture.channels + (picture.alpha is not None and kind in TRANSPARENT)
    itemsize = 1 if kind not in DEEP else min(2, picture.pixels.itemsize)
    if why := too_large(kind, scale * picture.height, scale * picture.width, channels, itemsize):
        raise PictureError(why)


def _fitted(picture: Picture, kind: str, lost: list[str]) -> Picture:
    """The picture reduced to the depth and channels that a format supports; adds what is lost to `lost`."""
    floats = picture.pixels.dtype == np.float32
    if floats and kind in DEEP and (kind != "TIFF" or picture.channels > 1):
        lost.append("floats become 16 bits")
        black, white = picture.span
        shares = np.clip((picture.pixels - black) / (white - black), 0.0, 1.0)
        pixels = np.rint(shares * np.float32(65535)).astype(np.uint16)
        picture = dataclasses.replace(picture, pixels=pixels, span=(0.0, 65535.0))
    elif kind not in DEEP and picture.pixels.dtype != np.uint8:
        lost.append(f"{'floats' if floats else '16 bits'} become 8 bits")
        picture = picture.eight_bits()
    if picture.alpha is not None and kind not in TRANSPARENT:
        lost.append("transparency is composited onto white")
        pixels = opaque(np.concatenate([picture.pixels, picture.alpha], axis=2))
        picture = dataclasses.replace(picture, pixels=pixels, alpha=None)
    deep = picture.pixels.dtype == np.uint16
    if kind == "TIFF" and deep and picture.alpha is not None:  # few programs read 16-bit grey with alpha
        picture = dataclasses.replace(picture, pixels=np.broadcast_to(picture.pixels, (*picture.alpha.shape[:2], 3)))
    if kind not in DESCRIBED and (picture.icc or picture.exif):
        lost.append(f"colour profile and EXIF are not kept in {kind}")
    elif kind == "JPEG" and picture.exif and len(picture.exif) > EXIF_JPEG:
        lost.append("EXIF is too long for JPEG")
        picture = dataclasses.replace(picture, exif=None)
    return picture


def _sized(picture: Picture, lost: list[str]) -> bytes | None:
    """The EXIF, with its size tags, if any, set to the picture's size."""
    if not picture.exif:
        return None
    try:
        exif = Image.Exif()
        exif.load(picture.exif)
        tags = exif.get_ifd(EXIF_IFD)
        for tag, side in ((EXIF_WIDTH, picture.width), (EXIF_HEIGHT, picture.height)):
            if tag in tags:
                tags[tag] = side
        return exif.tobytes()
    except Exception:  # cameras and editors write invalid EXIF
        lost.append("its EXIF cannot be written and is left out")
        return None


def _samples(picture: Picture, rows: slice) -> np.ndarray:
    """Some rows of a picture with its alpha, if any: `[n,W,1 to 4]`."""
    parts = (picture.pixels[rows], *(() if picture.alpha is None else (picture.alpha[rows],)))
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)


def _write_png(file: IO[bytes], picture: Picture, exif: bytes | None) -> None:
    """Writes a picture of 8 or 16 bits as PNG (ISO 15948), some rows at a time."""

    def chunk(name: bytes, content: bytes) -> None:
        checksum = zlib.crc32(name + content)
        file.write(struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum))

    channels, size = picture.channels + (picture.alpha is not None), picture.pixels.itemsize
    head = (picture.width, picture.height, 8 * size, PNG_COLOURS[channels], 0, 0, 0)
    file.write(b"\x89PNG\r\n\x1a\n")
    chunk(b"IHDR", struct.pack(">IIBBBBB", *head))
    if picture.icc:
        chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(picture.icc))
    if exif:
        chunk(b"eXIf", exif.removeprefix(b"Exif\0\0"))
    packer, above = zlib.compressobj(), np.zeros((1, picture.width * channels * size), np.uint8)
    for top in range(0, picture.height, PNG_ROWS):
        samples = _samples(picture, slice(top, top + PNG_ROWS)).astype(f">u{size}")
        rows = np.ascontiguousarray(samples).view(np.uint8).reshape(len(samples), -1)
        chunk(b"IDAT", packer.compress(_filtered(rows, above, size * channels)))
        above = rows[-1:]
    chunk(b"IDAT", packer.flush())
    chunk(b"IEND", b"")


def _filtered(rows: np.ndarray, above: np.ndarray, pixel: int) -> bytes:
    """Filters rows of bytes by Sub (1) or Up (2), for each row the one with the smaller sum of differences."""
    up = rows - np.concatenate([above, rows[:-1]])
    left = rows.copy()
    left[:, pixel:] -= rows[:, :-pixel]
    costs = [np.abs(each.view(np.int8).astype(np.int16)).sum(axis=1, dtype=np.int64) for each in (left, up)]
    kinds = np.where(costs[0] <= costs[1], 1, 2).astype(np.uint8)[:, None]
    return np.concatenate([kinds, np.where(kinds == 1, left, up)], axis=1).tobytes()


def _write_tiff(file: IO[bytes], picture: Picture) -> None:
    """Writes a picture of 16-bit colours as uncompressed TIFF 6.0."""
    height, width, channels = picture.height, picture.width, picture.channels + (picture.alpha is not None)
    size = 2 * height * width * channels
    short, long, undefined = (3, "H"), (4, "I"), (7, "B")
    fields: dict[int, tuple[tuple[int, str], list[int]]] = {
        256: (long, [width]),
        257: (long, [height]),
        258: (short, [16] * channels),
        259: (short, [1]),  # uncompressed
        262: (short, [2]),  # RGB
        273: (long, [0]),  # offset of the samples, set below
        277: (short, [channels]),
        278: (long, [height]),
        279: (long, [size]),
    }
    if channels == 4:
        fields[338] = (short, [2])  # alpha that is not premultiplied
    if picture.icc:
        fields[34675] = (undefined, list(picture.icc))
    values = {tag: struct.pack(f"<{len(value)}{kind[1]}", *value) for tag, (kind, value) in fields.items()}
    position = 8 + 2 + 12 * len(fields) + 4  # offset of the values longer than the four bytes of an entry
    places = {}
    for tag, value in values.items():
        if len(value) > 4:
            places[tag] = position
            position += len(value) + len(value) % 2
    values[273] = struct.pack("<I", position)
    file.write(b"II*\0" + struct.pack("<IH", 8, len(fields)))
    for tag, (kind, numbers) in fields.items():
        entry = struct.pack("<I", places[tag]) if tag in places else values[tag].ljust(4, b"\0")
        file.write(struct.pack("<HHI", tag, kind[0], len(numbers)) + entry)
    file.write(struct.pack("<I", 0))
    for tag in places:
        file.write(values[tag] + b"\0" * (len(values[tag]) % 2))
    for row in range(height):
        file.write(_samples(picture, slice(row, row + 1)).astype("<u2").tobytes())

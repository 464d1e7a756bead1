"""Which files are pictures or films, by name and by their first bytes."""

from __future__ import annotations

import os
from pathlib import PurePath

from jaxgan.media.reading import PictureError, stored_size

# those in which a C2PA credential can be
SIGNED = frozenset(
    f".{name}"
    for names in ("apng avif dng gif heic heif jfif jpe jpeg jpg jxl png tif tiff webp", "avi m4v mov mp4")
    for name in names.split()
)
OTHERS = frozenset(
    f".{name}"
    for names in (
        "bmp ico jp2 pbm pgm pnm ppm psd tga",
        "3g2 3gp asf flv m2ts mkv mpeg mpg mts mxf ogv ts vob webm wmv y4m",
    )
    for name in names.split()
)
ISO_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")  # MP4, MOV, HEIC and AVIF begin with one
TS_PACKET = 188  # bytes
STARTS = {  # of files that Pillow does not open
    b"\x1aE\xdf\xa3": 0,  # Matroska and WebM
    b"AVI ": 8,
    b"\0\0\x01\xba": 0,  # MPEG program stream
    b"\0\0\x01\xb3": 0,
    b"\x06\x0e\x2b\x34": 0,  # MXF
    b"FLV": 0,
    b"OggS": 0,
    b"YUV4MPEG2": 0,
    b"\x30\x26\xb2\x75": 0,  # ASF
    b"\xff\x0a": 0,  # JPEG XL, bare
    b"JXL ": 4,
} | dict.fromkeys(ISO_BOXES, 4)


def is_known(path: str | os.PathLike[str]) -> bool:
    """Whether a file has the name of a picture or a film."""
    return PurePath(path).suffix.lower() in SIGNED | OTHERS


def is_likely(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins as a picture or a film does. Raises OSError where it cannot be read."""
    with open(path, "rb") as file:
        start = file.read(TS_PACKET + 1)
    if start[:1] == start[TS_PACKET:] == b"\x47":  # MPEG transport stream
        return True
    if any(start[at : at + len(begins)] == begins for begins, at in STARTS.items()):
        return True
    try:
        stored_size(path)
    except PictureError:
        return False
    return True

"""Which files are pictures or films, by name and by their first bytes."""

from __future__ import annotations

import os
import sys
from pathlib import PurePath

from jaxgan.media.reading import opened

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
STARTS = {  # of files that Pillow does not open: where, and the suffix of such files
    b"\x1aE\xdf\xa3": (0, ".mkv"),
    b"AVI ": (8, ".avi"),
    b"\0\0\x01\xba": (0, ".mpg"),
    b"\0\0\x01\xb3": (0, ".mpg"),
    b"\x06\x0e\x2b\x34": (0, ".mxf"),
    b"FLV": (0, ".flv"),
    b"OggS": (0, ".ogv"),
    b"YUV4MPEG2": (0, ".y4m"),
    b"\x30\x26\xb2\x75": (0, ".wmv"),
    b"\xff\x0a": (0, ".jxl"),  # bare
    b"JXL ": (4, ".jxl"),
} | dict.fromkeys(ISO_BOXES, (4, ".mp4"))
PILLOWS = {"JPEG": ".jpg", "MPO": ".jpg", "JPEG2000": ".jp2", "TIFF": ".tif"}  # formats that suffixes are not called by


def is_known(path: str | os.PathLike[str]) -> bool:
    """Whether a file has the name of a picture or a film."""
    return PurePath(path).suffix.lower() in SIGNED | OTHERS


def suffix_of_content(path: str | os.PathLike[str]) -> str | None:
    """A usual suffix of such a file as its first bytes say, whatever it is called; None: no picture and no film.

    Raises OSError where it cannot be read.
    """
    with open(path, "rb") as file:
        start = file.read(TS_PACKET + 1)
    if start[:1] == start[TS_PACKET:] == b"\x47":
        return ".ts"
    for begins, (at, suffix) in STARTS.items():
        if start[at : at + len(begins)] == begins:
            return ".webm" if suffix == ".mkv" and b"webm" in start else suffix
    try:
        with opened(path, max_pixels=sys.maxsize) as image:
            kind = str(image.format)
    except Exception:  # Pillow's decoders raise what they like on broken data
        return None
    return PILLOWS.get(kind, f".{kind.lower()}")

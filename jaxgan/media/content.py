"""Which kind of picture or film a file holds, by its first bytes."""

from __future__ import annotations

import os
import sys

from jaxgan.media.reading import opened

ISO_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")  # MP4, MOV, HEIC and AVIF begin with one
TS_PACKETS = {".ts": (188, 0), ".m2ts": (192, 4)}  # bytes of one, and before its first own
STARTS = {  # of files that Pillow does not open: where, and the suffix of such files
    b"\x1aE\xdf\xa3": (0, ".mkv"),
    b"AVI ": (8, ".avi"),
    b"\0\0\x01\xba": (0, ".mpg"),
    b"\0\0\x01\xb3": (0, ".mpg"),
    b"\x06\x0e\x2b\x34": (0, ".mxf"),
    b"FLV": (0, ".flv"),
    b"nut/multimedia": (0, ".nut"),
    b"OggS": (0, ".ogv"),
    b"YUV4MPEG2": (0, ".y4m"),
    b"\x30\x26\xb2\x75": (0, ".wmv"),
    b"\xff\x0a": (0, ".jxl"),  # bare
    b"JXL ": (4, ".jxl"),
} | dict.fromkeys(ISO_BOXES, (4, ".mp4"))
PILLOWS = {"JPEG": ".jpg", "MPO": ".jpg", "JPEG2000": ".jp2", "TIFF": ".tif"}  # formats that suffixes are not called by


def suffix_of_content(path: str | os.PathLike[str]) -> str | None:
    """A usual suffix of such a file as its first bytes say, whatever it is called; None: no picture and no film.

    Raises OSError where it cannot be read.
    """
    with open(path, "rb") as file:
        start = file.read(256)
    for suffix, (size, before) in TS_PACKETS.items():
        if start[before : before + 1] == start[before + size : before + size + 1] == b"\x47":
            return suffix
    for begins, (at, suffix) in STARTS.items():
        if start[at : at + len(begins)] == begins:
            return ".webm" if suffix == ".mkv" and b"webm" in start else suffix
    try:
        with opened(path, max_pixels=sys.maxsize) as image:
            kind = str(image.format)
    except Exception:  # Pillow's decoders raise what they like on broken data
        return None
    return PILLOWS.get(kind, f".{kind.lower()}")

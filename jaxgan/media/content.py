"""Detects the kind of a picture or film from the first bytes of its file."""

from __future__ import annotations

import os
import sys

from jaxgan.media.reading import opened

ISO_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")  # MP4, MOV, HEIC and AVIF begin with one
TS_PACKETS = {".ts": (188, 0), ".m2ts": (192, 4)}  # bytes per packet, and bytes before the sync byte
STARTS = {  # signatures of files that Pillow does not open: their offset, and the usual suffix
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
    b"\xff\x0a": (0, ".jxl"),  # a bare codestream
    b"JXL ": (4, ".jxl"),
} | dict.fromkeys(ISO_BOXES, (4, ".mp4"))
PILLOWS = {"JPEG": ".jpg", "MPO": ".jpg", "JPEG2000": ".jp2", "TIFF": ".tif"}  # formats whose name is not their suffix


def suffix_of_content(path: str | os.PathLike[str]) -> str | None:
    """The usual suffix for a file's content, whatever its name; None if it is neither a picture nor a film.

    Raises OSError if the file cannot be read.
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
    except Exception:  # Pillow's decoders raise any exception on broken data
        return None
    return PILLOWS.get(kind, f".{kind.lower()}")

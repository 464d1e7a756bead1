"""Locates the boxes of MP4, MOV, AVIF and similar files (ISO 14496-12, 4.2), without their content."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

MOST = 2**14  # boxes of a file: c2pa takes one second for this many, and four for twice as many
FOLDED = frozenset(  # boxes that contain boxes
    b"moov trak edts mdia minf dinf stbl udta tref mvex moof traf mfra meta schi sinf iprp ipco".split()
)


class TooManyBoxesError(ValueError):
    """A file with too many boxes: built to keep its readers busy, or made of very many fragments."""


class Box(NamedTuple):
    """The location of a box."""

    place: int
    size: int  # including the header
    name: bytes
    header: bytes  # as stored in the file
    endless: bool  # has no size, and extends to the end of the file


def is_iso(start: bytes) -> bool:
    """Whether the first bytes of a file are those of MP4, MOV, AVIF or a similar format."""
    return start[4:8] == b"ftyp"


def top_boxes(file: IO[bytes]) -> Iterator[Box]:
    """The valid boxes of the top level; the size of the last may exceed the file. Raises TooManyBoxesError."""
    return _walked(file, 0, file.seek(0, os.SEEK_END), MOST)


def demand_few(path: Path) -> None:
    """Raises TooManyBoxesError for a file of more than MOST boxes, including nested ones; and OSError."""
    left = MOST
    with open(path, "rb") as file:
        spans = [(0, file.seek(0, os.SEEK_END))]
        while spans:
            start, end = spans.pop()
            for box in _walked(file, start, end, left):
                left -= 1
                if box.name in FOLDED:
                    inner = box.place + len(box.header) + (4 if box.name == b"meta" else 0)
                    spans.append((inner, min(end, box.place + box.size)))


def _walked(file: IO[bytes], place: int, end: int, most: int) -> Iterator[Box]:
    for _ in range(most):
        if place + 8 > end:
            return
        file.seek(place)
        header = file.read(8)
        size, name = struct.unpack(">I4s", header)
        endless = size == 0
        if size == 1 and place + 16 <= end:
            header += file.read(8)
            (size,) = struct.unpack(">Q", header[8:])
        elif endless:
            size = end - place
        if size < len(header):
            return
        yield Box(place, size, name, header, endless)
        place += size
    if place + 8 <= end:
        raise TooManyBoxesError(f"it has more than {MOST} boxes")

"""The boxes of MP4, MOV, AVIF and their like (ISO 14496-12, 4.2): where they are, not what is in them."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

MOST = 2**14  # boxes of a file; c2pa takes a second for so many, and four for twice as many
FOLDED = frozenset(  # boxes of boxes
    b"moov trak edts mdia minf dinf stbl udta tref mvex moof traf mfra meta schi sinf iprp ipco".split()
)


class TooManyBoxesError(ValueError):
    """A file that is made to keep its readers busy, or is of very many fragments."""


class Box(NamedTuple):
    """Where a box is."""

    place: int
    size: int  # with the header
    name: bytes
    header: bytes  # as it is in the file
    endless: bool  # it has no size, but reaches to the end of the file


def is_iso(start: bytes) -> bool:
    """Whether the first bytes of a file are those of MP4, MOV, AVIF or their like."""
    return start[4:8] == b"ftyp"


def top_boxes(file: IO[bytes]) -> Iterator[Box]:
    """The boxes of the top level, as far as they make sense; the last may be said to reach beyond the end.

    Raises TooManyBoxesError.
    """
    return _walked(file, 0, file.seek(0, os.SEEK_END), MOST)


def demand_few(path: Path) -> None:
    """Raises TooManyBoxesError for a file of more than MOST boxes, those in others counted too; and OSError."""
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

"""Checks the bytes around a credential that neither its hash nor its signature covers.

C2PA hashes a file without the credential itself, and signs claim and assertions. Lengths and labels of boxes, the
padding of the signature, the checksum of a PNG chunk, and in an MP4 the first box and free boxes are neither hashed nor
signed. Changing them changes nothing that anyone reads, but the file is no longer the one that was written. So these
bytes must be exactly as c2pa writes them.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from jaxgan.media.provenance import iso_boxes
from jaxgan.media.provenance.iso_boxes import is_iso, top_boxes

UUID_END = bytes.fromhex("00110010800000aa00389b71")  # of the UUIDs of all C2PA boxes
STORE = b"jumb\0\0\0\x1ejumdc2pa" + UUID_END + b"\x03c2pa\0"
LABELS = {  # of the boxes in a manifest, by kind
    b"c2as": (b"c2pa.assertions",),
    b"c2cl": (b"c2pa.claim.v2",),
    b"c2cs": (b"c2pa.signature",),
}
# the unsigned part of a signature: the padding's name, the padding, and null for a claim stored elsewhere
UNSIGNED = re.compile(rb"\xa1cpad(?:Y(?P<two>..)|X(?P<one>.))(?P<zeros>\0*)\xf6X\x40.{64}\Z", re.DOTALL)
BMFF_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
BMFF_PURPOSE = b"\0\0\0\0manifest\0" + b"\0" * 8  # version and flags, purpose, offset of a Merkle tree (none)
BMFF_HEAD = BMFF_UUID + BMFF_PURPOSE
# boxes whose content C2PA's hash covers, and whose offsets change when a store is inserted. The hash does not cover
# mfra, which changes all the same: it is the seek index of fragmented films, which the suite does not write
COVERED = (b"moov", b"mdat", b"moof", b"meta", b"mfra")
PIECE = 2**20  # bytes
PNG, GIF = b"\x89PNG\r\n\x1a\n", b"GIF8"


class Box(NamedTuple):
    """A box of a store."""

    kind: bytes
    content: bytes


def sum_outside(path: Path) -> str | None:
    """SHA-256 of an MP4 or similar file without its store: all box headers, and the content of all but COVERED boxes.

    It is the same before and after the store is inserted. None for other files.
    """
    with open(path, "rb") as file:
        if not is_iso(file.read(8)):
            return None
        found, reached, is_signed = hashlib.sha256(), 0, False
        for box in top_boxes(file):
            reached = box.place + box.size
            if not is_signed and box.name == b"uuid" and _read(file, box, len(BMFF_HEAD)) == BMFF_HEAD:
                is_signed = True  # only the first store counts: a second one was inserted by somebody else
                continue
            found.update(box.header)
            if box.name not in COVERED:
                _add(found, file, box.place + len(box.header), reached)
        _add(found, file, reached, file.seek(0, os.SEEK_END))
        return found.hexdigest()


def _read(file: IO[bytes], box: iso_boxes.Box, count: int) -> bytes:
    file.seek(box.place + len(box.header))
    return file.read(min(count, box.size - len(box.header)))


def _add(found: hashlib._Hash, file: IO[bytes], start: int, end: int) -> None:
    """Adds a part of a file to a hash, piece by piece."""
    file.seek(start)
    while start < end and (piece := file.read(min(PIECE, end - start))):
        found.update(piece)
        start += len(piece)


def is_one_piece(path: Path) -> bool:
    """Whether all media data of an MP4 or similar file are in one box, that is, it is not fragmented."""
    with open(path, "rb") as file:
        boxes = list(top_boxes(file))
    names = [box.name for box in boxes]
    whole = bool(boxes) and boxes[-1].place + boxes[-1].size >= path.stat().st_size
    return whole and names.count(b"mdat") == 1 and b"moof" not in names  # moof: of a fragment


def present(path: Path) -> bool:
    """Whether a file contains a credential, or a part of one."""
    sought, kept = STORE[4:16], b""
    with open(path, "rb") as file:
        while piece := file.read(PIECE):
            if sought in kept + piece:
                return True
            kept = piece[1 - len(sought) :]
    return False


def intact(path: Path) -> bool:
    """Whether the bytes of a file's credential that are neither hashed nor signed are as c2pa writes them."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            return _is_store(_store(data))
        except (ValueError, IndexError):
            return False


def _store(data: mmap.mmap) -> bytes:
    """The store in one piece. Raises ValueError if the bytes around it are not as c2pa writes them."""
    early = data[:8] == PNG or data[:4] == GIF or data[:2] == b"\xff\xd8" or data[4:8] == b"ftyp"
    at = data.find(STORE) if early else data.rfind(STORE)  # at the end in TIFF and RIFF
    _demand(at >= 4)
    at -= 4
    if data[:2] == b"\xff\xd8":
        return _of_jpeg(data, at - 12)
    if data[:4] == GIF:
        return _of_gif(data, at - 1)
    size = int.from_bytes(data[at : at + 4], "big")
    store = data[at : at + size]
    _demand(len(store) == size)
    if data[:8] == PNG:
        _demand(int.from_bytes(data[at - 8 : at - 4], "big") == size and data[at - 4 : at] == b"caBX")
        _demand(zlib.crc32(data[at - 4 : at + size]) == int.from_bytes(data[at + size : at + size + 4], "big"))
    elif data[4:8] == b"ftyp":
        _demand(data[at - len(BMFF_HEAD) : at] == BMFF_HEAD)
    return store


def _of_jpeg(data: mmap.mmap, at: int) -> bytes:
    """Joins a store from segments of at most 64 KB; all but the first repeat the header of the first box."""
    parts: list[bytes] = []
    size = int.from_bytes(data[at + 12 : at + 16], "big")
    while sum(len(part) for part in parts) < size:
        _demand(data[at : at + 2] == b"\xff\xeb")
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        _demand(data[at + 4 : at + 12] == b"JP\x02\x11" + (len(parts) + 1).to_bytes(4, "big"))
        if parts:
            _demand(data[at + 12 : at + 20] == parts[0][:8])
        parts.append(data[at + (20 if parts else 12) : end])
        at = end
    return b"".join(parts)


def _of_gif(data: mmap.mmap, at: int) -> bytes:
    """Joins a store from blocks of 255 bytes and a last, shorter one, each preceded by its length."""
    parts: list[bytes] = []
    while length := data[at]:
        _demand(not parts or len(parts[-1]) == 255)
        parts.append(data[at + 1 : at + 1 + length])
        at += 1 + length
    return b"".join(parts)


def _is_store(store: bytes) -> bool:
    (outer,) = _parts(store)
    label, manifests = _opened(outer)
    _demand(label == (b"c2pa", b"c2pa") and bool(manifests))
    for box in _opened(manifests[-1])[1]:  # the active manifest, which has the hashes of the others
        (kind, name), content = _opened(box)
        if kind in LABELS:
            _demand(name in LABELS[kind])
        if kind == b"c2cs":
            _demand(len(content) == 1 and content[0].kind == b"cbor" and _is_padding(content[0].content))
    return True


def _opened(box: Box) -> tuple[tuple[bytes, bytes], list[Box]]:
    """Kind and label of a box that contains boxes, and its content."""
    _demand(box.kind == b"jumb")
    described, *content = _parts(box.content)
    _demand(described.kind == b"jumd" and described.content[16:17] == b"\x03" and described.content[-1:] == b"\0")
    return (described.content[:4], described.content[17:-1]), content


def _parts(content: bytes) -> Iterator[Box]:
    at = 0
    while at < len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        _demand(8 <= size <= len(content) - at)
        yield Box(content[at + 4 : at + 8], content[at + 8 : at + size])
        at += size


def _is_padding(signature: bytes) -> bool:
    found = UNSIGNED.search(signature)
    return found is not None and int.from_bytes(found["two"] or found["one"], "big") == len(found["zeros"])


def _demand(so: bool) -> None:
    if not so:
        raise ValueError("not as c2pa writes it")

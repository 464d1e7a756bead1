"""Embeds XMP packets in files of all kinds that can hold one, and extracts them."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import struct
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

from jaxgan.media.provenance.iso_boxes import TooManyBoxesError, is_iso, top_boxes
from jaxgan.media.provenance.xmp import parse_packet
from jaxgan.media.reading import opened
from jaxgan.system.whole_files import replacing

PNG, JPEG_XMP = b"\x89PNG\r\n\x1a\n", b"http://ns.adobe.com/xap/1.0/\0"
ISO_XMP = bytes.fromhex("BE7ACFCB97A942E89C71999491E3AFAC")
GIF_XMP = b"\x21\xff\x0bXMP DataXMP"
# a reader that takes the text for GIF blocks lands somewhere in here and is led to the end (XMP specification, part 3)
GIF_TRAILER = b"\x01" + bytes(range(255, -1, -1)) + b"\0"
TIFF_XMP, BYTES = 700, 1  # the tag and its type
TIFF_LIMIT = 2**32  # bytes
WEBP_XMP, WEBP_ALPHA = 0x04, 0x10  # flags of VP8X
BEGIN, END = b"<x:xmpmeta", b"</x:xmpmeta>"
EBML = b"\x1aE\xdf\xa3"
# TagName "XMP", an optional TagLanguage of three letters, then TagString (RFC 9559, 5.1.8.1.2); never found in text
MATROSKA_XMP = re.compile(rb"\x45\xa3\x83XMP(?:\x44\x7a\x83...)?(?:\x44\x84\x81.)?\x44\x87", re.DOTALL)
SEARCHED = 2**20  # bytes searched at both ends of a file of another kind


class Edit(NamedTuple):
    """A change of a file: `head` replaces the bytes before `offset`, and `tail` is appended."""

    offset: int
    head: bytes
    tail: bytes = b""


def embed_xmp(path: Path, packet: bytes) -> bool:
    """Embeds a packet in a complete PNG, JPEG, WebP, TIFF, GIF, MP4 or MOV; False if the file cannot hold one.

    The kind is detected from the first bytes. Pixels, frames and sound do not change. Raises OSError, for example if
    the disk is full, and then leaves the file unchanged.
    """
    with open(path, "rb") as file:
        edit = _edit(file, packet)
        if edit is None:
            return False
        if len(edit.head) == edit.offset:
            _edit_in_place(path, edit)
            return True
        with replacing(path) as copy, open(copy, "wb") as target:
            target.write(edit.head)
            file.seek(edit.offset)
            shutil.copyfileobj(file, target, SEARCHED)
            target.write(edit.tail)
    return True


def with_xmp(content: bytes, packet: bytes) -> bytes:
    """Like `embed_xmp`, for a file in memory; returned unchanged if it cannot hold a packet."""
    edit = _edit(io.BytesIO(content), packet)
    return content if edit is None else edit.head + content[edit.offset :] + edit.tail


def _edit(file: IO[bytes], packet: bytes) -> Edit | None:
    start = file.read(12)
    kind = next((write for begins, write in KINDS if begins(start)), None)
    try:
        return None if kind is None else kind(file, packet)
    except (struct.error, IndexError, TooManyBoxesError):  # cut off, or malformed
        return None


def _edit_in_place(path: Path, edit: Edit) -> None:
    """Writes the tail first and then the head, which refers to it; undoes the tail if the disk is full."""
    with open(path, "r+b", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        try:
            written = 0
            while written < len(edit.tail):
                written += file.write(edit.tail[written:])
        except OSError:
            file.truncate(end)
            raise
        file.seek(0)
        file.write(edit.head)


def extract_xmp(path: Path) -> str | None:
    """The XMP packet of a picture or a film as text; None if there is none, or it cannot be read.

    Files of other kinds, such as films other than MP4 and MOV, are searched at both ends. Raises OSError for a file
    that cannot be opened.
    """
    with open(path, "rb") as file:
        start = file.read(12)
        if is_iso(start):
            found = _uuid_xmp(file)
            if found or start[8:12] not in (b"avif", b"avis", b"heic", b"heix", b"mif1"):
                return found
        ends = _ends(file)
    packet: object = None
    # Pillow's decoders raise any exception on broken files and on files that are not pictures
    with contextlib.suppress(Exception), opened(path, max_pixels=sys.maxsize) as image:
        packet = image.info.get("xmp")
    if packet is None and start.startswith(EBML):
        packet = next(_readable(each for end in ends for each in _tags(end)), None)
    if packet is None:
        packet = next(_readable(each for end in ends for each in _packets(end)), None)
    if isinstance(packet, bytes):
        packet = packet.decode(errors="replace")
    return packet if isinstance(packet, str) and packet.strip("\0 ") else None


def _png(file: IO[bytes], packet: bytes) -> Edit:
    """Adds an uncompressed iTXt chunk after the first chunk (PNG specification, 11.3.3.4)."""
    file.seek(0)
    head = file.read(len(PNG) + 25)  # the first chunk, IHDR, has 13 bytes of content
    chunk = b"iTXt" + b"XML:com.adobe.xmp" + b"\0\0\0\0\0" + packet
    sealed = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return Edit(len(head), head + sealed)


def _jpeg(file: IO[bytes], packet: bytes) -> Edit:
    """Adds an APP1 segment after JFIF's and EXIF's, which readers expect first."""
    place = 2
    while True:
        file.seek(place)
        marker, size, name = struct.unpack(">HH4s", file.read(8))
        if not (marker == 0xFFE0 or (marker == 0xFFE1 and name == b"Exif")):
            break
        place += 2 + size
    file.seek(0)
    content = JPEG_XMP + packet
    return Edit(place, file.read(place) + struct.pack(">HH", 0xFFE1, 2 + len(content)) + content)


def _webp(file: IO[bytes], packet: bytes) -> Edit:
    """Adds a chunk at the end, and its flag in the first chunk, VP8X, which is created if there is none."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    first = file.read(30)
    if first[12:16] == b"VP8X":
        offset, extended = 30, first[12:20] + bytes([first[20] | WEBP_XMP]) + first[21:]
    else:
        offset, extended = 12, _webp_head(first)
    tail = b"XMP " + struct.pack("<I", len(packet)) + packet + b"\0" * (len(packet) % 2)
    whole = 12 + len(extended) + size - offset + len(tail)
    return Edit(offset, b"RIFF" + struct.pack("<I", whole - 8) + b"WEBP" + extended, tail)


def _webp_head(first: bytes) -> bytes:
    """The VP8X chunk for a single picture that has none, from its first 30 bytes."""
    if first[12:16] == b"VP8L":  # width - 1 and height - 1 in 14 bits each, then one bit for alpha
        (bits,) = struct.unpack("<I", first[21:25])
        width, height, alpha = bits & 0x3FFF, bits >> 14 & 0x3FFF, bits >> 28 & 1
    else:
        (width, height), alpha = ((side & 0x3FFF) - 1 for side in struct.unpack("<HH", first[26:30])), 0
    flags = WEBP_XMP | (WEBP_ALPHA if alpha else 0)
    sides = width.to_bytes(3, "little") + height.to_bytes(3, "little")
    return b"VP8X" + struct.pack("<IB3x", 10, flags) + sides


def _tiff(file: IO[bytes], packet: bytes) -> Edit | None:
    """Adds tag 700 in a new directory at the end; the old directory stays, unused."""
    file.seek(0)
    head = file.read(8)
    order = "<" if head[:2] == b"II" else ">"
    (place,) = struct.unpack(order + "I", head[4:])
    end = file.seek(0, os.SEEK_END)
    file.seek(place)
    (count,) = struct.unpack(order + "H", file.read(2))
    raw = [file.read(12) for _ in range(count)]
    following = file.read(4)
    entries = {struct.unpack(order + "H", entry[:2])[0]: entry for entry in raw}
    start = end + end % 2  # offsets are even
    entries[TIFF_XMP] = struct.pack(order + "HHII", TIFF_XMP, BYTES, len(packet), start)
    directory = start + len(packet) + len(packet) % 2
    tail = b"\0" * (end % 2) + packet + b"\0" * (len(packet) % 2)
    tail += struct.pack(order + "H", len(entries)) + b"".join(entries[tag] for tag in sorted(entries)) + following
    if end + len(tail) > TIFF_LIMIT:
        return None
    return Edit(8, head[:4] + struct.pack(order + "I", directory), tail)


def _gif(file: IO[bytes], packet: bytes) -> Edit:
    """Adds an application extension before the first picture, after the one with the loop count."""
    file.seek(0)
    screen = file.read(13)
    place = 13 + (3 << (screen[10] & 7) + 1 if screen[10] & 0x80 else 0)
    file.seek(place)
    while file.read(3) == b"\x21\xff\x0b":
        file.seek(11, os.SEEK_CUR)
        while size := file.read(1)[0]:
            file.seek(size, os.SEEK_CUR)
        place = file.tell()
    file.seek(6)
    return Edit(place, b"GIF89a" + file.read(place - 6) + GIF_XMP + packet + GIF_TRAILER)


def _iso(file: IO[bytes], packet: bytes) -> Edit | None:
    """Appends a box; impossible if the last one is defined to extend to the end of the file."""
    file.seek(0, os.SEEK_END)
    end, reached = file.tell(), 0
    for box in top_boxes(file):
        if box.endless:
            return None
        reached = box.place + box.size
    if reached != end:
        return None
    return Edit(0, b"", struct.pack(">I4s", 8 + 16 + len(packet), b"uuid") + ISO_XMP + packet)


def _uuid_xmp(file: IO[bytes]) -> str | None:
    with contextlib.suppress(TooManyBoxesError):
        for box in top_boxes(file):
            if box.name == b"uuid" and box.size < SEARCHED:
                file.seek(box.place + len(box.header))
                content = file.read(box.size - len(box.header))
                if content.startswith(ISO_XMP) and len(content) > len(ISO_XMP):
                    return content[len(ISO_XMP) :].decode(errors="replace")
    return None


def _readable(packets: Iterable[bytes]) -> Iterator[bytes]:
    return (each for each in packets if parse_packet(each.decode(errors="replace")) is not None)


def _packets(content: bytes) -> Iterator[bytes]:
    """Candidates for packets, each from the last begin tag before an end tag; a begin tag in a title is skipped."""
    place = 0
    while (end := content.find(END, place)) >= 0:
        begin = content.rfind(BEGIN, place, end)
        place = end + len(END)
        if begin >= 0:
            yield content[begin:place]


def _tags(content: bytes) -> Iterator[bytes]:
    """The values of Matroska's tags named XMP, as FFmpeg writes them: name, optional language, value."""
    for found in MATROSKA_XMP.finditer(content):
        place = found.end()
        length = 9 - content[place].bit_length() if place < len(content) else 9  # bytes of the size field
        if length <= 8:
            size = int.from_bytes(content[place : place + length], "big") & (1 << 7 * length) - 1
            yield content[place + length : place + length + size]


def _ends(file: IO[bytes]) -> tuple[bytes, bytes]:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    first = file.read(SEARCHED)
    file.seek(max(0, size - SEARCHED))
    return first, file.read(SEARCHED)


KINDS: tuple[tuple[Callable[[bytes], bool], Callable[[IO[bytes], bytes], Edit | None]], ...] = (
    (lambda start: start.startswith(PNG), _png),
    (lambda start: start.startswith(b"\xff\xd8\xff"), _jpeg),
    (lambda start: start[:4] == b"RIFF" and start[8:] == b"WEBP", _webp),
    (lambda start: start[:4] in (b"II*\0", b"MM\0*"), _tiff),
    (lambda start: start[:6] in (b"GIF87a", b"GIF89a"), _gif),
    (is_iso, _iso),
)

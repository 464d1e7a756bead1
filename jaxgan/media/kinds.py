"""The table of picture and film suffixes: which are read, which are written and how, and which hold a credential."""

from __future__ import annotations

import os
from pathlib import PurePath
from typing import NamedTuple


class Kind(NamedTuple):
    """How files of one suffix are handled."""

    film: bool = False  # else a picture
    written: str | None = None  # Pillow's name of the format, or FFmpeg's of the container; None: not written
    moving: bool = False  # a picture that may have several frames
    signed: str | None = None  # C2PA's media type; None: no credential is written
    holds: bool = False  # may contain a credential that another program wrote
    read: bool = True  # by `apply` and as training data; else by `verify` only


KINDS = {
    # pictures that can be written; messages list them in this order
    ".png": Kind(written="PNG", moving=True, signed="image/png"),
    ".jpg": Kind(written="JPEG", signed="image/jpeg"),
    ".jpeg": Kind(written="JPEG", signed="image/jpeg"),
    ".jpe": Kind(written="JPEG", signed="image/jpeg"),
    ".jfif": Kind(written="JPEG", signed="image/jpeg"),
    ".webp": Kind(written="WEBP", moving=True, signed="image/webp"),
    ".tif": Kind(written="TIFF", signed="image/tiff"),
    ".tiff": Kind(written="TIFF", signed="image/tiff"),
    ".bmp": Kind(written="BMP"),
    # pictures that are only read
    ".apng": Kind(moving=True, signed="image/png"),
    ".avif": Kind(moving=True, signed="image/avif"),
    ".gif": Kind(moving=True, signed="image/gif"),
    **dict.fromkeys((".dib", ".j2k", ".jp2", ".pbm", ".pgm", ".pnm", ".ppm", ".tga"), Kind()),
    # pictures of which only the provenance is read
    **dict.fromkeys((".dng", ".heic", ".heif", ".jxl"), Kind(holds=True, read=False)),
    **dict.fromkeys((".ico", ".psd"), Kind(read=False)),
    # films that can be written
    ".mp4": Kind(film=True, written="mp4", signed="video/mp4"),
    ".m4v": Kind(film=True, written="mp4", signed="video/x-m4v"),
    ".mov": Kind(film=True, written="mov", signed="video/quicktime"),
    ".mkv": Kind(film=True, written="matroska"),
    ".webm": Kind(film=True, written="webm"),
    # films that are only read; c2pa could sign .avi, but holds the file in memory twice
    ".avi": Kind(film=True, holds=True),
    **dict.fromkeys((".3g2", ".3gp", ".asf", ".divx", ".f4v", ".flv", ".m2ts", ".mpeg", ".mpg"), Kind(film=True)),
    **dict.fromkeys((".mts", ".mxf", ".nut", ".ogv", ".ts", ".vob", ".wmv", ".y4m"), Kind(film=True)),
}
PICTURES = frozenset(suffix for suffix, kind in KINDS.items() if kind.read and not kind.film)
ANIMATIONS = frozenset(suffix for suffix, kind in KINDS.items() if kind.moving)
FILMS = frozenset(suffix for suffix, kind in KINDS.items() if kind.read and kind.film)
FORMATS = {suffix: kind.written for suffix, kind in KINDS.items() if kind.written and not kind.film}
CONTAINERS = {suffix: kind.written for suffix, kind in KINDS.items() if kind.written and kind.film}
SUFFIX_OF = {container: suffix for suffix, container in reversed(CONTAINERS.items())}  # the first suffix of each
MEDIA_TYPES = {suffix: kind.signed for suffix, kind in KINDS.items() if kind.signed}
HOLDERS = frozenset(suffix for suffix, kind in KINDS.items() if kind.signed or kind.holds)


def is_known(path: str | os.PathLike[str]) -> bool:
    """Whether a file's suffix is one of a picture or a film."""
    return PurePath(path).suffix.lower() in KINDS

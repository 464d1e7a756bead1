"""NumPy's archives of arrays, `.npz`: a zip with one `.npy` per array. Arrays of objects are refused."""

from __future__ import annotations

import ast
import math
import re
import zipfile

import numpy as np

from jaxgan.errors import UserError
from jaxgan.system.plain import plain

MOST_EXPANSION, SPARE = 16, 2**24  # bounds of unpacked bytes: times the file size, plus spare bytes
MOST_HEADER = 10_000  # bytes of a header
MOST_AXES, MOST_SIZE = 64, 2**62
KINDS = re.compile(r"[<>|=]?([fiu][1248]|b1|c8|c16)")
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # as numpy writes
MAGIC = b"\x93NUMPY"


def read_npz(archive: zipfile.ZipFile, file_size: int) -> dict[str, np.ndarray]:
    """The arrays of an archive by name; `file_size` is in bytes.

    Raises UserError for members that are not arrays of numbers, and for an archive that is far larger when unpacked.
    """
    members = archive.infolist()
    unpacked = sum(info.file_size for info in members)
    if unpacked > MOST_EXPANSION * file_size + SPARE:
        raise UserError(f"its {file_size} bytes would grow to {unpacked} when unpacked, which is too much")
    found: dict[str, np.ndarray] = {}
    for info in members:
        name = info.filename.removesuffix(".npy")
        if info.compress_type not in METHODS or info.flag_bits & 1:
            raise UserError(f"{plain(name, 80)} is encrypted, or compressed in a way that numpy does not use")
        if name in found:
            raise UserError(f"two of its arrays are named {plain(name, 80)}")
        try:
            found[name] = _array(archive.read(info))
        except UserError as error:
            raise UserError(f"it cannot be read: {plain(name, 80)}: {error}") from None
    return found


def _array(data: bytes) -> np.ndarray:
    """The array of a `.npy` file."""
    version = data[6:7]
    if data[:6] != MAGIC or version not in (b"\x01", b"\x02", b"\x03"):
        raise UserError("it is not an array of numpy")
    start = 10 if version == b"\x01" else 12
    length = int.from_bytes(data[8:start], "little")
    if length > MOST_HEADER or start + length > len(data):
        raise UserError("its header is too long")
    try:
        header = ast.literal_eval(data[start : start + length].decode("latin-1").strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        raise UserError("its header cannot be read") from None
    if not isinstance(header, dict) or not header.keys() >= {"descr", "fortran_order", "shape"}:
        raise UserError("its header is incomplete")
    kind, shape = header["descr"], header["shape"]
    if not isinstance(kind, str) or not KINDS.fullmatch(kind):
        raise UserError(f"it is of {plain(kind, 40) if isinstance(kind, str) else 'objects'}, expected numbers")
    if not isinstance(shape, tuple) or len(shape) > MOST_AXES:
        raise UserError(f"its shape is invalid, expected at most {MOST_AXES} integers")
    if not all(type(size) is int and 0 <= size <= MOST_SIZE for size in shape):
        raise UserError("its shape is invalid, expected integers")
    count, itemsize = math.prod(shape), np.dtype(kind).itemsize
    if count * itemsize != len(data) - start - length:
        raise UserError(f"it has {len(data) - start - length} bytes of numbers, which do not fit its shape {shape}")
    flat = np.frombuffer(data, kind, count, start + length)
    return flat.reshape(shape[::-1]).T if header["fortran_order"] else flat.reshape(shape)

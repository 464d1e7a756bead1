"""Reads the tensors of a file in any known format: PyTorch's zip or older stream, pickled arrays, safetensors, npz."""

from __future__ import annotations

import hashlib
import os
import pickle
import stat
import struct
import tokenize
import zipfile
import zlib
from typing import IO

import numpy as np

from jaxgan.errors import UserError
from jaxgan.system.paths import located
from jaxgan.system.plain import plain
from jaxgan.weights.npz import read_npz
from jaxgan.weights.safetensors import read_safetensors
from jaxgan.weights.torch_stream import read_torch_stream
from jaxgan.weights.torch_zip import PICKLE, read_torch_zip

ZIP, ZIP_END = b"PK\x03\x04", b"PK\x05\x06"
MANY = 0xFFFF  # the count that a zip with this many members or more announces
OTHERS = {  # beginnings of files that are often mistaken for weights
    b"version https://git-lfs": "it is a pointer of Git LFS, not the file itself: git lfs pull fetches it",
    b"<": "it is a web page or XML, not a file of weights: download it again",
    b"\x89HDF": "it is an HDF5 file, which is not supported: save the weights with torch.save, as safetensors or npz",
    b"\x1f\x8b": "it is compressed with gzip: unpack it first",
    b"(dp": "it is a pickle of Python 2's text form, not a file of torch.save: save its state dict with torch.save",
}
DAMAGED = (  # errors for damaged files
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    tokenize.TokenError,
    struct.error,
    EOFError,
    MemoryError,
    OverflowError,
    NotImplementedError,
)
UNFIT = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    RecursionError,
    RuntimeError,
    SyntaxError,
)
UNREADABLE = (*DAMAGED, *UNFIT)  # all errors for files that are no weights


def read(path: str, *, expect: str | None = None) -> dict[str, np.ndarray]:
    """The tensors by name, read-only; keys of nested dicts are joined with dots. Nothing in the file is executed.

    The file's contents determine the format, whatever its name. `expect`: the SHA-256 that the file must have, or its
    beginning. Raises UserError for a file that is missing, damaged, of another format, or that needs more than tensors.
    """
    path = located(path)
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise UserError("it is not a regular file, expected a file of weights")
        if expect is not None:
            _check(path, expect)
        tensors = _read(path)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except DAMAGED as error:
        raise UserError(f"{path}: it is damaged ({type(error).__name__}: {plain(error, 200)})") from None
    except UNFIT as error:
        why = f"{type(error).__name__}: {plain(error, 200)}"
        raise UserError(f"{path}: it cannot be read as weights ({why})") from None
    if not tensors:
        raise UserError(f"{path}: it has no named tensors")
    return tensors


def is_known(path: str) -> bool:
    """Whether a file begins like one of the formats that `read` supports. Raises OSError if there is no file."""
    with open(path, "rb") as file:
        start = file.read(9)
        size = os.fstat(file.fileno()).st_size
    header = start[8:] == b"{" and 8 + int.from_bytes(start[:8], "little") <= size
    return start[:4] == ZIP or _is_pickle(start) or header


def _is_pickle(start: bytes) -> bool:
    """Whether it begins with a pickle protocol; the length of a safetensors header, before "{", may look like one."""
    return start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05") and start[8:9] != b"{"


def _read(path: str) -> dict[str, np.ndarray]:
    with open(path, "rb") as file:
        start = file.read(32)
        file.seek(0)
        for beginning, message in OTHERS.items():
            if start.startswith(beginning) and start[8:9] != b"{":
                raise UserError(message)
        if start[:4] == ZIP:
            size = os.fstat(file.fileno()).st_size
            announced = _members(file)
            with zipfile.ZipFile(file) as archive:
                if announced not in (len(archive.infolist()), MANY):
                    raise UserError(f"it announces {announced} members, but lists {len(archive.infolist())}: damaged")
                if any(name.endswith(PICKLE) for name in archive.namelist()):
                    return read_torch_zip(archive, size)
                return read_npz(archive, size)
        if _is_pickle(start):
            return read_torch_stream(file.read())
    return read_safetensors(path)


def _members(file: IO[bytes]) -> int:
    """The number of members that the end of a zip announces, at most MANY; `zipfile` does not check it.

    Raises UserError unless the end is as torch and numpy write it, without a comment.
    """
    file.seek(-min(22, file.seek(0, os.SEEK_END)), os.SEEK_END)
    end = file.read()
    if end[:4] != ZIP_END or len(end) != 22 or end[20:] != bytes(2):
        raise UserError("its end is not that of a whole zip: it is damaged or cut off")
    return int.from_bytes(end[10:12], "little")


def _check(path: str, expect: str) -> None:
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(expect.lower()):
        raise UserError(f"its sha256 is {digest}, expected {expect}")

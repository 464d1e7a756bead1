"""Tensors of a file, whatever its format: PyTorch's zip or older stream, safetensors, npz."""

from __future__ import annotations

import hashlib
import os
import pickle
import zipfile

import numpy as np

from jaxgan.errors import UserError
from jaxgan.paths import located
from jaxgan.weights.safetensors import read_safetensors
from jaxgan.weights.torch_stream import read_torch_stream
from jaxgan.weights.torch_zip import read_torch_zip

MOST_EXPANSION = 1_000  # times the size of the file, that a compressed npz may have


def read(path: str, *, expect: str | None = None) -> dict[str, np.ndarray]:
    """The tensors by name, those of nested dicts joined with dots; nothing in the file is executed.

    `expect`: the SHA-256 that the file must have, or its beginning. Raises UserError for a file that is not
    there, damaged, of another format, or that asks for anything but tensors.
    """
    path = located(path)
    try:
        if expect is not None:
            _check(path, expect)
        tensors = _read(path)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except (OSError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise UserError(f"{path}: it cannot be read as weights ({type(error).__name__}: {error})") from None
    except (pickle.UnpicklingError, zipfile.BadZipFile, MemoryError, OverflowError, NotImplementedError) as error:
        raise UserError(f"{path}: it is damaged ({type(error).__name__}: {error})") from None
    if not tensors:
        raise UserError(f"{path}: there are no tensors in it")
    return tensors


def _read(path: str) -> dict[str, np.ndarray]:
    with open(path, "rb") as file:
        start = file.read(9)
        file.seek(0)
        if start[:4] == b"PK\x03\x04":
            with zipfile.ZipFile(file) as archive:
                if any(name.endswith("data.pkl") for name in archive.namelist()):
                    return read_torch_zip(archive)
                unpacked = sum(info.file_size for info in archive.infolist())
            if unpacked > MOST_EXPANSION * os.path.getsize(path):
                raise UserError("it would grow beyond all measure when unpacked")
            with np.load(path, allow_pickle=False) as arrays:
                return dict(arrays)
        # a pickle's protocol; the length of a safetensors header, before its brace, may look like one
        if start[:1] == b"\x80" and start[8:] != b"{":
            return read_torch_stream(file)
    return read_safetensors(path)


def _check(path: str, expect: str) -> None:
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(expect.lower()):
        raise UserError(f"its sha256 is {digest}, expected is {expect}")

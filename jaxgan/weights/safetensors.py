"""The safetensors format: the length of a JSON header, the header, the numbers.

The package safetensors is not a dependency of the suite, and the format is small. Reading it here shares the bounds for
hostile files, the conversion of bfloat16 and the one-line errors with the other formats.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxgan.errors import UserError
from jaxgan.system.plain import plain
from jaxgan.system.whole_files import replacing
from jaxgan.weights.unpickling import BFLOAT16, MOST_AXES, MOST_SIZE, Storage, Tensor

MOST_HEADER = 2**24  # bytes; the header of 100,000 tensors has about 10 million
UNKNOWN = "its format is unknown, expected one of torch.save, safetensors, npz"
METADATA = "__metadata__"
KINDS = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": BFLOAT16,
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "<i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "<u1",
    "BOOL": "?",
}
NAMES = {np.dtype(kind): name for name, kind in KINDS.items() if kind != BFLOAT16}


def read_safetensors(path: str | Path) -> dict[str, np.ndarray]:
    """The tensors by name. Raises UserError if the header is invalid or does not fit the numbers."""
    header, start = _header(path)
    data = memoryview(Path(path).read_bytes())[start:]
    found: dict[str, np.ndarray] = {}
    used: list[tuple[int, int]] = []
    for name, entry in header.items():
        if name == METADATA:
            continue
        shown = plain(name, 120)
        try:
            kind, shape = entry["dtype"], entry["shape"]
            begin, end = entry["data_offsets"]
        except (KeyError, TypeError, ValueError):
            raise UserError(f"its header is incomplete for {shown}") from None
        if not isinstance(kind, str) or kind not in KINDS:
            raise UserError(f"{shown} has an unknown dtype, expected one of {', '.join(KINDS)}")
        if not isinstance(shape, list) or len(shape) > MOST_AXES:
            raise UserError(f"{shown} has an impossible shape, expected at most {MOST_AXES} integers")
        numbers = (begin, end, *shape)
        if not all(type(number) is int and 0 <= number <= MOST_SIZE for number in numbers):
            raise UserError(f"{shown} lies outside of the file")
        if not begin <= end <= len(data):
            raise UserError(f"{shown} lies outside of the file")
        used.append((begin, end))
        strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
        if max(strides, default=0) > MOST_SIZE:
            raise UserError(f"{shown} has an impossible shape")
        storage = Storage(KINDS[kind], math.prod(shape), data[begin:end])
        try:
            found[name] = Tensor(storage, 0, tuple(shape), tuple(strides)).array()
        except UserError as error:
            raise UserError(f"{shown}: {error}") from None
    edges = [0, *(edge for span in sorted(used) for edge in span), len(data)]
    if edges[::2] != edges[1::2]:  # each tensor begins where the previous one ends
        raise UserError("its tensors overlap, or leave gaps")
    return found


def read_metadata(path: str | Path) -> dict[str, str]:
    """The text metadata beside the tensors."""
    found = _header(path)[0].get(METADATA, {})
    if not isinstance(found, dict) or not all(isinstance(each, str) for each in found.values()):
        raise UserError(f"{path}: its metadata is not text")
    return dict(found)


def write(path: str | Path, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None) -> None:
    """Writes tensors atomically. Raises UserError for a dtype that the format or NumPy lacks."""
    header: dict[str, Any] = {METADATA: dict(metadata)} if metadata else {}
    arrays, offset = {}, 0
    for name in sorted(tensors):
        array = np.asarray(tensors[name])
        shape = list(array.shape)  # before numpy turns a scalar into a vector
        arrays[name] = np.ascontiguousarray(array)
        kind = NAMES.get(array.dtype.newbyteorder("<"))
        if kind is None:
            raise UserError(f"{name}: dtype {array.dtype} cannot be written")
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header, allow_nan=False).encode()
    text += b" " * (-len(text) % 8)  # numbers begin at a multiple of eight bytes
    with replacing(path) as part, open(part, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in arrays.values():
            file.write(array.astype(array.dtype.newbyteorder("<")).tobytes())


def _header(path: str | Path) -> tuple[dict[str, Any], int]:
    """The header, and the offset of the numbers."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > min(MOST_HEADER, os.fstat(file.fileno()).st_size - 8):
            raise UserError(UNKNOWN)
        try:
            header = json.loads(file.read(length), object_pairs_hook=_table)
        except (ValueError, RecursionError):
            raise UserError(UNKNOWN) from None
    if not isinstance(header, dict):
        raise UserError("its header is not a dict of tensors")
    return header, 8 + length


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a name appears twice")
    return dict(pairs)

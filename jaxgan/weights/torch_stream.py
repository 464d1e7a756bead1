"""PyTorch's files before 1.6: five pickles in a row, then the storages' numbers."""

from __future__ import annotations

import os
from typing import IO

import numpy as np

from jaxgan.errors import UserError
from jaxgan.weights.unpickling import Storage, flattened, load

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001


def read_torch_stream(file: IO[bytes]) -> dict[str, np.ndarray]:
    """The tensors by name. Raises UserError for what is no state dict."""
    size, storages = os.fstat(file.fileno()).st_size, dict[str, Storage]()

    def storage(key: str, kind: str, count: int) -> Storage:
        found = storages.setdefault(key, Storage(kind, count))
        if (found.kind, found.count) != (kind, count):
            raise UserError(f"the storage {key} is named twice, differently")
        return found

    if load(file, storage) != MAGIC or load(file, storage) != PROTOCOL:
        raise UserError("it is no file of PyTorch's")
    system = load(file, storage)
    if not isinstance(system, dict) or not system.get("little_endian", True):
        raise UserError("its numbers are big-endian")
    tree, keys = load(file, storage), load(file, storage)
    if not isinstance(keys, list) or set(keys) != storages.keys():
        raise UserError("its list of storages does not fit its tensors")
    for key in keys:
        found = storages[key]
        count = int.from_bytes(file.read(8), "little", signed=True)
        wanted = found.count * found.itemsize
        if count != found.count or wanted > size:
            raise UserError(f"the storage {key} has {count} numbers, {found.count} are named")
        found.data = file.read(wanted)
    return flattened(tree, size)

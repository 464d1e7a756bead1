"""PyTorch's files before 1.6: five pickles, then the numbers of the storages. Also single pickles of numpy arrays."""

from __future__ import annotations

import io

import numpy as np

from jaxgan.errors import UserError
from jaxgan.system.plain import plain
from jaxgan.weights.pickles import Inert
from jaxgan.weights.unpickling import Storage, array_view, flattened, load

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001


def read_torch_stream(data: bytes) -> dict[str, np.ndarray]:
    """The tensors by name, or arrays of nested dicts. Raises UserError if the file is not a state dict."""
    file, numbers, storages = io.BytesIO(data), memoryview(data), dict[str, Storage]()

    def storage(key: str, kind: str, count: int) -> Storage:
        found = storages.setdefault(key, Storage(kind, count))
        if (found.kind, found.count) != (kind, count):
            raise UserError(f"the storage {plain(key, 80)} is declared twice, differently")
        return found

    magic = load(file, storage)
    if isinstance(magic, dict) and (arrays := flattened(magic, len(data), array_view)):
        return arrays
    if type(magic) is not int or magic != MAGIC:
        kind = magic.kind if isinstance(magic, Inert) else f"a {type(magic).__name__}"
        raise UserError(f"it is a pickle of {kind}, not a file of torch.save; save its state dict with torch.save")
    protocol = load(file, storage)
    if type(protocol) is not int or protocol != PROTOCOL:
        raise UserError("it is not a file of PyTorch")
    system = load(file, storage)
    if not isinstance(system, dict) or system.get("little_endian", True) is not True:
        raise UserError("its numbers are big-endian")
    tree, keys = load(file, storage), load(file, storage)
    named = isinstance(keys, list) and all(isinstance(key, str | int) for key in keys)
    if not named or {str(key) for key in keys} != storages.keys() or len(keys) != len(storages):
        raise UserError("its list of storages does not fit its tensors")
    at = file.tell()
    for key in keys:
        found = storages[str(key)]
        count, wanted = int.from_bytes(data[at : at + 8], "little", signed=True), found.count * found.itemsize
        if count != found.count or at + 8 + wanted > len(data):
            raise UserError(f"the storage {plain(key, 80)} has {count} numbers, {found.count} are declared")
        found.data = numbers[at + 8 : at + 8 + wanted]
        at += 8 + wanted
    return flattened(tree, len(data))

"""PyTorch's files since 1.6: a zip with one pickle and a member for each storage."""

from __future__ import annotations

import io
import zipfile

import numpy as np

from jaxgan.errors import UserError
from jaxgan.weights.unpickling import Storage, flattened, load

MOST_PICKLE = 256 * 2**20  # bytes; names and shapes need far less


def read_torch_zip(archive: zipfile.ZipFile) -> dict[str, np.ndarray]:
    """The tensors by name. Raises UserError for what is no state dict."""
    members = {info.filename: info for info in archive.infolist()}
    pickles = [name for name in members if name.rpartition("/")[2] == "data.pkl"]
    if len(pickles) != 1 or members[pickles[0]].file_size > MOST_PICKLE:
        raise UserError("it has no data.pkl of a usual size")
    folder = pickles[0].removesuffix("data.pkl")
    if members.keys() >= {f"{folder}byteorder"} and archive.read(f"{folder}byteorder") != b"little":
        raise UserError("its numbers are big-endian")
    storages: dict[str, Storage] = {}

    def storage(key: str, kind: str, count: int) -> Storage:
        name = f"{folder}data/{key}"
        if key not in storages:
            info = members.get(name)
            if info is None or info.compress_type != zipfile.ZIP_STORED:
                raise UserError(f"the storage {key} is missing")
            found = Storage(kind, count)
            if info.file_size != count * found.itemsize:
                raise UserError(f"the storage {key} has {info.file_size} bytes, {count * found.itemsize} are named")
            found.data = archive.read(name)
            storages[key] = found
        return storages[key]

    tree = load(io.BytesIO(archive.read(pickles[0])), storage)
    return flattened(tree, sum(info.file_size for info in members.values()))

"""PyTorch's files since 1.6, including TorchScript: a zip with one pickle and one member per storage."""

from __future__ import annotations

import io
import zipfile

import numpy as np

from jaxgan.errors import UserError
from jaxgan.system.plain import plain
from jaxgan.weights.unpickling import Storage, flattened, load

MOST_PICKLE = 256 * 2**20  # maximum bytes; names and shapes need far less
PICKLE = "data.pkl"
CODE = "code/"  # of a TorchScript archive, which is compressed and never read


def read_torch_zip(archive: zipfile.ZipFile, file_size: int) -> dict[str, np.ndarray]:
    """The tensors of an archive by name; `file_size` is in bytes. Raises UserError if it is not a state dict."""
    members = {info.filename: info for info in archive.infolist()}
    if len(members) < len(archive.infolist()):
        raise UserError("two of its members have the same name")
    pickles = [name for name in members if name.rpartition("/")[2] == PICKLE]
    if len(pickles) != 1 or members[pickles[0]].file_size > MOST_PICKLE:
        raise UserError(f"it has no {PICKLE} of a usual size")
    folder = pickles[0].removesuffix(PICKLE)
    if sum(info.file_size for name, info in members.items() if not name.startswith(f"{folder}{CODE}")) > file_size:
        raise UserError("it would grow when unpacked, which files of torch.save do not: refused")
    if members.keys() >= {f"{folder}byteorder"} and archive.read(f"{folder}byteorder") != b"little":
        raise UserError("its numbers are big-endian")
    storages: dict[str, Storage] = {}

    def storage(key: str, kind: str, count: int) -> Storage:
        name = f"{folder}data/{key}"
        if key not in storages:
            info = members.get(name)
            if info is None or info.compress_type != zipfile.ZIP_STORED:
                raise UserError(f"the storage {plain(key, 80)} is missing")
            found = Storage(kind, count)
            if info.file_size != count * found.itemsize:
                wanted = count * found.itemsize
                raise UserError(f"the storage {plain(key, 80)} has {info.file_size} bytes, {wanted} are declared")
            found.data = archive.read(name)
            storages[key] = found
        found = storages[key]
        if (found.kind, found.count) != (kind, count):
            raise UserError(f"the storage {plain(key, 80)} is declared twice, differently")
        return found

    return flattened(load(io.BytesIO(archive.read(pickles[0])), storage), file_size)

"""Tensors out of PyTorch's pickles, by an unpickler that knows tensors and nothing else.

A pickle is a program that may call anything it can name. This one can name only what state dicts are made of,
and what it gets for these names are the harmless stand-ins below. All else is refused by name.
"""

from __future__ import annotations

import dataclasses
import math
import pickle
import pickletools
from collections.abc import Callable, Mapping
from typing import IO, Any

import numpy as np

from jaxgan.errors import UserError

SHARED = 16  # times the size of the file, that its tensors may have where they share storages
BFLOAT16 = "bfloat16"  # which numpy does not know: read as float32
STORAGES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": BFLOAT16,
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "?",
}


class _Sealed:
    """What a pickle gets its hands on: it cannot change what it is given."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        raise UserError("it changes an object that is no tensor: refused")


@dataclasses.dataclass(slots=True)
class Storage(_Sealed):
    """A flat array of numbers, whose bytes may come later."""

    kind: str  # one of the values of STORAGES
    count: int
    data: bytes | memoryview | None = None

    @property
    def itemsize(self) -> int:
        """Bytes of a number."""
        return 2 if self.kind == BFLOAT16 else np.dtype(self.kind).itemsize


@dataclasses.dataclass(slots=True)
class Tensor(_Sealed):
    """A view of a storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]  # in numbers

    def array(self) -> np.ndarray:
        """A copy of the numbers. Raises UserError where the view reaches out of its storage."""
        storage, count = self.storage, math.prod(self.shape)
        last = self.offset + sum((size - 1) * step for size, step in zip(self.shape, self.strides))
        numbers = (self.offset, *self.shape, *self.strides)
        if not all(isinstance(number, int) and number >= 0 for number in numbers) or len(self.shape) != len(
            self.strides
        ):
            raise UserError("a tensor has an impossible shape")
        if count and (last >= storage.count or count > storage.count):
            raise UserError("a tensor reaches out of its storage")
        if storage.data is None or len(storage.data) != storage.count * storage.itemsize:
            raise UserError("the numbers of a tensor are missing")
        raw = "<u2" if storage.kind == BFLOAT16 else storage.kind
        flat = np.frombuffer(storage.data, raw)
        steps = tuple(step * storage.itemsize for step in self.strides)
        start = flat[self.offset :] if count else flat[:0]
        view = np.lib.stride_tricks.as_strided(start, self.shape, steps, writeable=False)
        if storage.kind == BFLOAT16:
            return (view.astype(np.uint32) << 16).view(np.float32)
        return np.array(view)


@dataclasses.dataclass(slots=True)
class _StorageKind(_Sealed):
    kind: str


class _Dict(dict):
    """A dict that forgets what else it is told, such as the versions of modules."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        pass


@dataclasses.dataclass(slots=True)
class _Function(_Sealed):
    """A function in a wrapper without attributes to write to."""

    function: Callable[..., Any]

    def __call__(self, *arguments: Any) -> Any:
        return self.function(*arguments)


def _rebuild_tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Tensor:
    if not isinstance(storage, Storage):
        raise UserError("a tensor has no storage")
    return Tensor(storage, offset, tuple(shape), tuple(strides))


def _rebuild_parameter(tensor: Any, *_: Any) -> Any:
    return tensor


FUNCTIONS: Mapping[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): _Dict,
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,  # before torch 0.4, as the published VGGs have it
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
}


class Unpickler(pickle.Unpickler):
    """The unpickler of one file; `storage(key, kind, count)` finds the numbers of a storage or a place for them."""

    def __init__(self, file: IO[bytes], storage: Callable[[str, str, int], Storage]):
        super().__init__(file, encoding="utf-8")
        self._storage = storage

    def find_class(self, module: str, name: str) -> Any:
        """What stands in for a name, made anew. Raises UserError for any that no state dict needs."""
        if (module, name) in FUNCTIONS:
            return _Function(FUNCTIONS[module, name])
        if module == "torch" and name in STORAGES:
            return _StorageKind(STORAGES[name])
        raise UserError(f"it asks for {module}.{name}, which is no part of a state dict: refused")

    def persistent_load(self, identity: Any) -> Storage:
        """The storage of a reference `("storage", kind, key, device, count, ...)`."""
        if not isinstance(identity, tuple) or len(identity) < 5 or identity[0] != "storage":
            raise UserError("it refers to something that is no storage")
        _, kind, key, _, count = identity[:5]
        if not isinstance(kind, _StorageKind) or not isinstance(count, int) or count < 0:
            raise UserError("it refers to a storage of an unknown kind")
        return self._storage(str(key), kind.kind, count)


def load(file: IO[bytes], storage: Callable[[str, str, int], Storage]) -> Any:
    """The object of the pickle at the file's position, which is then behind it.

    Raises UserError for one that asks for more memory than it has bytes.
    """
    start, most = file.tell(), 0
    for opcode, argument, _ in pickletools.genops(file):
        if "PUT" in opcode.name and isinstance(argument, int):
            most = max(most, argument)
    if most > file.tell() - start:
        raise UserError("it numbers its objects beyond all measure")
    file.seek(start)
    return Unpickler(file, storage).load()


def flattened(tree: Any, file_size: int) -> dict[str, np.ndarray]:
    """The tensors of nested dicts by their names joined with dots; what is no tensor is left out.

    Raises UserError where two have one name, and for more of them than a file of so many bytes can mean.
    """
    found: dict[str, np.ndarray] = {}
    todo, visits, size = [("", tree)], 0, 0
    while todo:
        prefix, node = todo.pop()
        if not isinstance(node, Mapping):
            continue
        for key, value in node.items():
            visits += 1
            name = f"{prefix}{key}"
            if isinstance(value, Tensor):
                if name in found:
                    raise UserError(f"two of its tensors are named {name}")
                size += math.prod(value.shape) * value.storage.itemsize
                if size > SHARED * file_size:
                    raise UserError("its tensors share their numbers beyond all measure")
                found[name] = value.array()
            else:
                todo.append((f"{name}.", value))
            if visits > file_size:
                raise UserError("it nests its names beyond all measure")
    return found

"""Reads tensors from PyTorch's pickles: resolves the names that state dicts use, and turns numbers into arrays.

`torch.load(weights_only=True)` could do it, but torch is a dependency of the parity tests only, and weights must be
readable without it. The reader here also bounds the steps and memory that a hostile file can use.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import IO, Any

import numpy as np

from jaxgan.errors import UserError
from jaxgan.system.plain import plain
from jaxgan.weights.pickles import MOST_STEPS, Inert, Machine, Named, as_key

SHARED = 4  # maximum size of all tensors, which may share storages, in multiples of the file size
MOST_AXES = 64  # of a tensor, the maximum of numpy
MOST_SIZE = 2**62  # of an axis
MOST_NAME = 1_000  # characters of a name, including those of the dicts around it
ARRAY, DTYPE = "numpy.ndarray", "numpy.dtype "
BFLOAT16 = "bfloat16"  # unknown to numpy: read as float32
SCRIPT = "__torch__."  # prefix of TorchScript classes, whose objects are dicts of their attributes
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
    "ComplexFloatStorage": "<c8",
    "ComplexDoubleStorage": "<c16",
    "QInt8Storage": "<i1",
    "QUInt8Storage": "<u1",
    "QInt32Storage": "<i4",
    "UntypedStorage": "<u1",
}
KINDS = {  # dtypes of `_rebuild_tensor_v3`, which gives a dtype and a storage of bytes
    "float64": "<f8",
    "float32": "<f4",
    "float16": "<f2",
    "bfloat16": BFLOAT16,
    "int64": "<i8",
    "int32": "<i4",
    "int16": "<i2",
    "int8": "<i1",
    "uint64": "<u8",
    "uint32": "<u4",
    "uint16": "<u2",
    "uint8": "<u1",
    "bool": "?",
}


@dataclasses.dataclass(slots=True)
class Storage:
    """A flat array of numbers, whose bytes may be filled in later."""

    kind: str  # one of the values of STORAGES
    count: int
    data: bytes | memoryview | None = None

    @property
    def itemsize(self) -> int:
        """Bytes of a number."""
        return _itemsize(self.kind)


@dataclasses.dataclass(slots=True)
class Tensor:
    """A view of a storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]  # in numbers
    kind: str | None = None  # its dtype; None: that of the storage

    @property
    def nbytes(self) -> int:
        """Bytes of its numbers. Raises UserError for an impossible shape."""
        numbers = (self.offset, *self.shape, *self.strides)
        possible = all(type(number) is int and 0 <= number <= MOST_SIZE for number in numbers)
        if not possible or len(self.shape) != len(self.strides):
            raise UserError("a tensor has an impossible shape")
        return math.prod(self.shape) * _itemsize(self.kind or self.storage.kind)

    def array(self) -> np.ndarray:
        """The numbers, read-only. Raises UserError if the view exceeds its storage."""
        storage, kind = self.storage, self.kind or self.storage.kind
        itemsize = _itemsize(kind)
        count = self.nbytes // itemsize
        size = storage.count * storage.itemsize
        last = self.offset + sum((size - 1) * step for size, step in zip(self.shape, self.strides))
        if count and (last >= size // itemsize or count > size // itemsize):
            raise UserError("a tensor exceeds its storage")
        if storage.data is None or len(storage.data) != size:
            raise UserError("the numbers of a tensor are missing")
        if not count:
            return np.zeros(self.shape, np.float32 if kind == BFLOAT16 else kind)
        flat = np.frombuffer(storage.data, "<u2" if kind == BFLOAT16 else kind, size // itemsize)
        steps = tuple(step * itemsize for step in self.strides)
        view = np.lib.stride_tricks.as_strided(flat[self.offset :], self.shape, steps, writeable=False)
        if kind == BFLOAT16:
            return (view.astype(np.uint32) << 16).view(np.float32)
        return view if view.flags.aligned else np.array(view)


def _itemsize(kind: str) -> int:
    return 2 if kind == BFLOAT16 else np.dtype(kind).itemsize


def _sizes(value: object) -> tuple[int, ...]:
    """A shape or strides, checked before anything is computed from them."""
    if not isinstance(value, tuple | list) or len(value) > MOST_AXES:
        raise UserError(f"a tensor has an impossible shape, expected at most {MOST_AXES} integers")
    return tuple(value)


def _tensor(storage: Storage, offset: Any, shape: object, strides: object, kind: str | None = None) -> Tensor:
    tensor = Tensor(storage, offset, _sizes(shape), _sizes(strides), kind)
    tensor.nbytes  # noqa: B018  # refuses impossible shapes at once
    return tensor


def _rebuild_tensor(storage: object, offset: Any, shape: object, strides: object, *_: object) -> Tensor:
    if not isinstance(storage, Storage):
        raise UserError("a tensor has no storage")
    return _tensor(storage, offset, shape, strides)


def _rebuild_tensor_v3(
    storage: object,
    offset: Any,
    shape: object,
    strides: object,
    _grad: object = None,
    _hooks: object = None,
    kind: object = None,
    *_: object,
) -> Tensor | Inert:
    if not isinstance(storage, Storage):
        raise UserError("a tensor has no storage")
    if not isinstance(kind, Named) or kind.module != "torch" or kind.name not in KINDS:
        return Inert(f"a tensor of {kind}" if isinstance(kind, Named) else "a tensor")
    return _tensor(storage, offset, shape, strides, KINDS[kind.name])


def _rebuild_parameter(tensor: object, *_: object) -> object:
    return tensor


def _rebuild_from_type(function: object, _kind: object, arguments: object, *_: object) -> Any:
    call = CALLS.get((function.module, function.name)) if isinstance(function, Named) else None
    if call in (_rebuild_tensor, _rebuild_tensor_v3, _rebuild_parameter) and isinstance(arguments, tuple):
        return call(*arguments)
    return Inert("a tensor")


def _ordered(pairs: object = (), *_: object) -> dict[str | int, Any]:
    if isinstance(pairs, dict):
        return pairs
    if not isinstance(pairs, list | tuple) or not all(isinstance(e, list | tuple) and len(e) == 2 for e in pairs):
        raise UserError("a dict is built from something other than pairs")
    return {as_key(key): value for key, value in pairs}


def _default(*_: object) -> dict[str | int, Any]:
    return {}


def _size(sizes: object = (), *_: object) -> object:
    return sizes


def _array(*_: object) -> Inert:
    return Inert(ARRAY)


def _dtype(name: object = "", *_: object) -> Inert:
    return Inert(f"{DTYPE}{plain(name, 20)}")


def array_view(value: Any) -> Any:
    """The `Tensor` of a pickled numpy array; other values are returned as they are. Raises UserError for invalid ones.

    The state of an array is version, shape, dtype, whether it is in Fortran order, and bytes.
    """
    if not isinstance(value, Inert) or value.kind != ARRAY:
        return value
    state = value.state
    if not isinstance(state, tuple) or len(state) != 5 or not isinstance(state[2], Inert):
        raise UserError("an array has an impossible state")
    _, shape, dtype, reversed_axes, data = state
    kind, shape = f"<{dtype.kind.removeprefix(DTYPE)}", _sizes(shape)
    little = isinstance(dtype.state, tuple) and len(dtype.state) > 1 and dtype.state[1] == "<"
    if kind not in KINDS.values() or not little or not isinstance(data, bytes):
        raise UserError("an array has a dtype that weights do not have")
    if any(type(size) is not int or not 0 <= size <= MOST_SIZE for size in shape):
        raise UserError("an array has an impossible shape")
    axes = range(len(shape))
    strides = tuple(math.prod(shape[:axis] if reversed_axes is True else shape[axis + 1 :]) for axis in axes)
    return _tensor(Storage(kind, len(data) // _itemsize(kind), data), 0, shape, strides)


CALLS: Mapping[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): _ordered,
    ("collections", "defaultdict"): _default,
    ("torch", "Size"): _size,
    ("numpy", "dtype"): _dtype,
    ("numpy.core.multiarray", "_reconstruct"): _array,
    ("numpy._core.multiarray", "_reconstruct"): _array,
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,  # before torch 0.4; the published VGGs use it
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v3"): _rebuild_tensor_v3,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _rebuild_parameter,
    ("torch._tensor", "_rebuild_from_type_v2"): _rebuild_from_type,
    ("torch._tensor", "_rebuild_from_type"): _rebuild_from_type,
}


def load(file: IO[bytes], storage: Callable[[str, str, int], Storage]) -> Any:
    """The object of the pickle at the file's position, which moves past it.

    `storage(key, kind, count)` returns a storage, whose numbers may be filled in later.
    """

    def refer(identity: object) -> Storage:
        """The storage for a reference `("storage", kind, key, device, count, ...)`."""
        if not isinstance(identity, tuple) or len(identity) < 5 or type(identity[0]) is not str:
            raise UserError("it refers to something that is not a storage")
        name, kind, key, _, count = identity[:5]
        known = isinstance(kind, Named) and kind.module in ("torch", "torch.storage") and kind.name in STORAGES
        countable = type(count) is int and 0 <= count <= MOST_SIZE and type(key) in (str, int)
        if name != "storage" or not known or not countable:
            raise UserError("it refers to a storage of an unknown dtype")
        return storage(str(key), STORAGES[kind.name], count)

    return Machine(CALLS, refer).run(file)


def flattened(tree: Any, file_size: int, view: Callable[[Any], Any] = lambda value: value) -> dict[str, np.ndarray]:
    """The tensors of nested dicts; keys are joined with dots, other values are left out.

    They are in the file's order, those of a dict before those of its inner dicts. The parameters, buffers and
    submodules of a saved module count as such dicts, and so does each object of a TorchScript archive. `view` is
    applied to each value first. Raises UserError if two have the same name, and for more tensors than a file of
    `file_size` bytes can have.
    """
    found: dict[str, np.ndarray] = {}
    todo, visits, size = [("", _entries(tree))], 0, 0
    while todo:
        prefix, node = todo.pop()
        inner: list[tuple[str, Mapping[Any, Any]]] = []
        for key, value in node.items():
            visits += 1
            name = f"{prefix}{key}"
            if visits > min(file_size, MOST_STEPS) or len(name) > MOST_NAME:
                raise UserError("its names are nested too deeply")
            value = view(value)
            if isinstance(value, Tensor):
                if name in found:
                    raise UserError(f"two of its tensors are named {plain(name, 120)}")
                size += value.nbytes
                if size > SHARED * file_size:
                    raise UserError("its tensors share storages too often")
                try:
                    found[name] = value.array()
                except UserError as error:
                    raise UserError(f"{plain(name, 120)}: {error}") from None
            elif entries := _entries(value):
                inner.append((f"{name}.", entries))
        todo += reversed(inner)
    return found


def _entries(node: object) -> Mapping[Any, Any]:
    """The items of a dict, or of a stand-in for a dict or a module."""
    if isinstance(node, Inert):
        found = dict(node.items)
        if isinstance(node.state, dict) and node.kind.startswith(SCRIPT):
            found.update(node.state)
        elif isinstance(node.state, dict) and "_modules" in node.state:
            for part in ("_parameters", "_buffers", "_modules"):
                held = node.state.get(part)
                found.update(held if isinstance(held, dict) else {})
        return found
    return node if isinstance(node, Mapping) else {}

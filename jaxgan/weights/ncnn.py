"""The ncnn format: a text file of layers (`.param`), and a file of their numbers in the same order (`.bin`).

Only known kinds of layers are read, since the files do not say how many numbers a layer has.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgan.errors import UserError
from jaxgan.system.paths import located
from jaxgan.system.plain import plain

MAGIC = "7767517"
MOST_TEXT = 4 * 2**20  # maximum bytes of a param file; large networks have 200 kB
FLOAT32, FLOAT32_TAGGED, FLOAT16, INT8 = 0, 0x0002C056, 0x01306B47, 0x000D4B38  # tags before weights
WITHOUT_NUMBERS = {
    "BinaryOp",
    "Concat",
    "Eltwise",
    "Input",
    "Interp",
    "Noop",
    "PixelShuffle",
    "ReLU",
    "Sigmoid",
    "Split",
}
ARRAY = -23300  # the numbers of array parameters count down from here
INTEGER = re.compile(r"[+-]?\d{1,10}")
REAL = re.compile(r"[+-]?(\d{1,40}\.?\d{0,40}|\.\d{1,40})([eE][+-]?\d{1,3})?")

# numbers of a convolution's parameters
OUTPUTS, KERNEL_WIDTH, KERNEL_HEIGHT, BIAS, COUNT, QUANTIZED, DYNAMIC = 0, 1, 11, 5, 6, 8, 19

Number = int | float


class Layer(NamedTuple):
    """One layer of the graph; its inputs are outputs of earlier layers."""

    kind: str  # e.g. "Convolution"
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    params: Mapping[int, Number | tuple[Number, ...]]


class Network(NamedTuple):
    """The graph, and the numbers as float32: `NAME.weight` `[o,i,kh,kw]`, `NAME.bias` `[o]`, `NAME.slope` `[c]`."""

    layers: tuple[Layer, ...]
    tensors: dict[str, np.ndarray]


def read_ncnn(path: str | Path, *, expect: tuple[str, str] | None = None) -> Network:
    """The network of a `.param` file and the `.bin` file beside it; `path` is either of them.

    `expect`: the SHA-256 of both. Raises UserError for files that are missing, damaged, or do not fit each other.
    """
    files = [Path(located(path)).with_suffix(suffix) for suffix in (".param", ".bin")]
    wanted = expect or (None, None)
    text = _bytes(files[0], wanted[0], MOST_TEXT)
    numbers = _bytes(files[1], wanted[1], None)
    try:
        layers = parse(text.decode("ascii"))
    except UserError as error:
        raise UserError(f"{files[0]}: {plain(error)}") from None
    except UnicodeDecodeError:
        raise UserError(f"{files[0]}: it is not a text file") from None
    try:
        return Network(layers, _tensors(layers, numbers))
    except UserError as error:
        raise UserError(f"{files[1]}: {plain(error)}") from None


def parse(text: str) -> tuple[Layer, ...]:
    """The layers of a param file's text. Raises UserError for an invalid graph."""
    lines = [line.split() for line in text.splitlines() if line.strip()]
    if not lines or lines[0] != [MAGIC]:
        raise UserError(f"it does not begin with {MAGIC}, as param files of ncnn do")
    if len(lines) < 2 or len(lines[1]) != 2:
        raise UserError("it does not announce its numbers of layers and blobs")
    layers = tuple(_layer(words) for words in lines[2:])
    made: set[str] = set()
    for layer in layers:
        unknown = [name for name in layer.inputs if name not in made]
        if unknown:
            raise UserError(f"{layer.name} reads {unknown[0]}, which no earlier layer writes")
        if made.intersection(layer.outputs) or len(set(layer.outputs)) < len(layer.outputs):
            raise UserError(f"{layer.name} writes an output that exists already")
        made.update(layer.outputs)
    counts, found = [_integer(word) for word in lines[1]], [len(layers), len(made)]
    if counts != found:
        raise UserError(f"it announces {counts[0]} layers and {counts[1]} blobs, there are {found[0]} and {found[1]}")
    if len({layer.name for layer in layers}) < len(layers):
        raise UserError("two of its layers have the same name")
    return layers


def _layer(words: list[str]) -> Layer:
    """One line: kind, name, numbers of inputs and outputs, their names, then `number=value`."""
    if len(words) < 4:
        raise UserError(f"the layer {' '.join(words)[:80]} is cut off")
    kind, name = words[:2]
    inputs, outputs = (_integer(word) for word in words[2:4])
    if min(inputs, outputs) < 0 or len(words) < 4 + inputs + outputs:
        raise UserError(f"{name} announces {inputs} inputs and {outputs} outputs, but names fewer")
    ends = 4 + inputs, 4 + inputs + outputs
    params: dict[int, Number | tuple[Number, ...]] = {}
    for word in words[ends[1] :]:
        key, equals, value = word.partition("=")
        number, values = _integer(key), [_number(each) for each in value.split(",")]
        if not equals or (number > ARRAY and len(values) != 1):
            raise UserError(f"{name}: {word[:80]} is not a parameter")
        if number <= ARRAY and (values[0] != len(values) - 1):
            raise UserError(f"{name}: {word[:80]} does not have the announced length")
        key_number = ARRAY - number if number <= ARRAY else number
        if key_number in params:
            raise UserError(f"{name}: parameter {key_number} is given twice")
        params[key_number] = tuple(values[1:]) if number <= ARRAY else values[0]
    return Layer(kind, name, tuple(words[4 : ends[0]]), tuple(words[ends[0] : ends[1]]), params)


def _integer(word: str) -> int:
    if not INTEGER.fullmatch(word):
        raise UserError(f"{word[:80]!r} is not an integer")
    return int(word)


def _number(word: str) -> Number:
    if INTEGER.fullmatch(word):
        return int(word)
    if not REAL.fullmatch(word) or not math.isfinite(float(word)):
        raise UserError(f"{word[:80]!r} is not a number")
    return float(word)


class _Numbers:
    """The bytes of a bin file, taken in order."""

    def __init__(self, data: bytes):
        self._data, self._at = data, 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, count: int, kind: str) -> np.ndarray:
        """The next `count` numbers; skips their padding to four bytes. Raises UserError if there are fewer."""
        size = count * np.dtype(kind).itemsize
        padded = size + -size % 4
        if padded > self.left:
            raise UserError(f"{padded} bytes are required at {self._at}, {self.left} are left")
        found = np.frombuffer(self._data, kind, count, self._at)
        self._at += padded
        return found

    def floats(self, count: int) -> np.ndarray:
        return self.take(count, "<f4").astype(np.float32)

    def tagged(self, count: int) -> np.ndarray:
        """Weights after a tag for their format: float32, or int8 without its scales."""
        tag = int(self.take(1, "<u4")[0])
        if tag in (FLOAT32, FLOAT32_TAGGED):
            return self.floats(count)
        if tag == FLOAT16:
            return self.take(count, "<f2").astype(np.float32)
        if tag == INT8:
            return self.take(count, "<i1")
        raise UserError(f"the weights have the unknown tag 0x{tag:08X}")


def _tensors(layers: tuple[Layer, ...], data: bytes) -> dict[str, np.ndarray]:
    numbers, found = _Numbers(data), dict[str, np.ndarray]()
    for layer in layers:
        try:
            made = _numbers_of(layer, numbers)
        except UserError as error:
            raise UserError(f"{layer.name}: {error}") from None
        found.update({f"{layer.name}.{name}": value for name, value in made.items()})
    if numbers.left:
        raise UserError(f"{numbers.left} bytes are left over after the last layer")
    return found


def _numbers_of(layer: Layer, numbers: _Numbers) -> dict[str, np.ndarray]:
    if layer.kind in WITHOUT_NUMBERS:
        return {}
    if layer.kind == "PReLU":
        return {"slope": numbers.floats(_size(layer, 0))}
    if layer.kind == "Convolution":
        return _convolution(layer, numbers)
    known = ", ".join(sorted({"Convolution", "PReLU", *WITHOUT_NUMBERS}))
    raise UserError(f"got a layer of kind {layer.kind[:80]}, expected one of {known}")


def _convolution(layer: Layer, numbers: _Numbers) -> dict[str, np.ndarray]:
    outputs, width, count = (_size(layer, key) for key in (OUTPUTS, KERNEL_WIDTH, COUNT))
    height = _size(layer, KERNEL_HEIGHT) if KERNEL_HEIGHT in layer.params else width
    if count % (outputs * height * width):
        raise UserError(f"{count} weights do not make kernels of {height}x{width} for {outputs} outputs")
    if _flag(layer, DYNAMIC):
        raise UserError("its weights come from another layer")
    weight, bias = numbers.tagged(count), {}
    if _flag(layer, BIAS):
        bias = {"bias": numbers.floats(outputs)}
    scaled = _flag(layer, QUANTIZED)
    scales = numbers.floats(outputs) if scaled else None
    if scaled:
        numbers.floats(2 if scaled > 100 else 1)  # the scales of the activations, which only int8 arithmetic needs
    if weight.dtype == np.int8:
        if scales is None or not np.all(np.isfinite(scales) & (scales > 0)):
            raise UserError("its weights are int8 without scales")
        weight = weight.reshape(outputs, -1) / scales[:, None]
    return {"weight": weight.reshape(outputs, -1, height, width), **bias}


def _flag(layer: Layer, key: int) -> int:
    value = layer.params.get(key, 0)
    if not isinstance(value, int):
        raise UserError(f"parameter {key} is {value}, expected an integer")
    return value


def _size(layer: Layer, key: int) -> int:
    value = layer.params.get(key)
    if not isinstance(value, int) or value < 1:
        raise UserError(f"parameter {key} is {value}, expected a positive integer")
    return value


def _bytes(file: Path, expect: str | None, most: int | None) -> bytes:
    try:
        if file.exists() and not file.is_file():
            raise UserError(f"{file}: it is not a regular file")
        if most is not None and file.stat().st_size > most:
            raise UserError(f"{file}: it is not a param file: it has {file.stat().st_size} bytes")
        found = file.read_bytes()
    except OSError as error:
        raise UserError(f"{file}: it cannot be read ({error.strerror})") from None
    digest = hashlib.sha256(found).hexdigest()
    if expect is not None and digest != expect:
        raise UserError(f"{file}: its sha256 is {digest}, expected {expect}")
    return found

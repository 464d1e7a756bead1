"""What a compiled program reads and writes in a TPU's main memory, read from its text.

The compiler's own count of bytes takes in what it keeps inside the chip (memory space 1 and above in a layout,
`{1,0:T(8,128)S(1)}`), which on small networks is nearly all.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

BYTES = {"pred": 1, "s8": 1, "u8": 1, "f16": 2, "bf16": 2, "s16": 2, "u16": 2, "f32": 4, "s32": 4, "u32": 4}
BYTES |= {"f64": 8, "s64": 8, "u64": 8}

ARRAY = re.compile(r"\b([a-z]+\d*)\[([\d,]*)\](?:\{([\d,]*)(?::([^}]*))?\})?")
INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?([\w.-]+) = (\(.*?\)|\S+)\s+([a-z][a-z\d-]*)\(([^)]*)\)")
COMPUTATION = re.compile(r"^(?:ENTRY )?%?([\w.-]+) \(.*\{$")
INNER = re.compile(r"(?:calls|to_apply)=%?([\w.-]+)")  # of fusions and reductions: counted where they are called
FREE = {"parameter", "constant", "tuple", "get-tuple-element", "bitcast", "while", "conditional", "call", "iota"}


def array_bytes(text: str) -> list[float]:
    """Bytes in main memory of each array that a type names, padded to its tiles; 0 for one inside the chip."""
    return [_bytes(*found) for found in ARRAY.findall(text)]


def memory_traffic(text: str) -> float:
    """Bytes that each instruction reads and writes in main memory, summed; of a loop one turn.

    An instruction that reads a part of an array counts as if it read the whole.
    """
    inner, held, total = set(INNER.findall(text)), dict[str, float](), 0.0
    for computation, name, result, kind, operands in _instructions(text):
        sizes = array_bytes(result)
        held[name] = sum(sizes)
        if computation in inner or kind in FREE or kind.endswith("-done"):
            continue
        if kind == "copy-start":  # (to, from, context)
            total += sum(sizes[:2])
        else:
            read = re.findall(r"%([\w.-]+)", operands)
            written = sum(sizes) if not kind.endswith("-start") else sum(sizes) / 2  # with its operands
            total += written + sum(held.get(each, 0.0) for each in read)
    return total


def _instructions(text: str) -> Iterator[tuple[str, str, str, str, str]]:
    computation = ""
    for line in text.splitlines():
        begun, found = COMPUTATION.match(line), INSTRUCTION.match(line)
        if begun:
            computation = begun[1]
        elif found:
            yield (computation, *found.groups())  # type: ignore[misc]


def _bytes(kind: str, shape: str, order: str, rest: str) -> float:
    if re.search(r"S\([1-9]", rest):
        return 0.0
    lengths = [int(length) for length in shape.split(",") if length]
    tile = re.search(r"T\(([\d,]+)\)", rest)
    if tile and order:
        sides = [int(side) for side in tile[1].split(",")]
        for axis, side in zip([int(axis) for axis in order.split(",")], reversed(sides)):  # the innermost first
            lengths[axis] = math.ceil(lengths[axis] / side) * side
    return float(BYTES.get(kind, 0) * math.prod(lengths))

"""Computes what a compiled program reads and writes in a TPU's main memory, from its text.

The compiler's own count of bytes includes arrays that stay inside the chip (memory space 1 and above in a layout,
`{1,0:T(8,128)S(1)}`), which is nearly everything in small networks, and counts one iteration of each loop.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from jaxgan.planning.hlo import Instruction, Turns

BYTES = {"pred": 1, "s8": 1, "u8": 1, "f16": 2, "bf16": 2, "s16": 2, "u16": 2, "f32": 4, "s32": 4, "u32": 4}
BYTES |= {"f64": 8, "s64": 8, "u64": 8}

ARRAY = re.compile(r"\b([a-z]+\d*)\[([\d,]*)\](?:\{([\d,]*)(?::([^}]*))?\})?")
FREE = {"parameter", "constant", "tuple", "get-tuple-element", "bitcast", "while", "conditional", "call", "iota"}
PARTS = {"slice", "dynamic-slice", "gather"}  # read a part of their first operand, as large as their result
UPDATE = "dynamic-update-slice"  # writes its second operand into its first, in place

Program = Mapping[str, Sequence[Instruction]]


def array_bytes(text: str, *, inside: bool = False) -> list[float]:
    """Bytes in main memory of each array of a type, padded to its tiles; 0 for arrays inside the chip.

    `inside`: also count arrays inside the chip.
    """
    return [_bytes(*found, inside=inside) for found in ARRAY.findall(text)]


def memory_traffic(program: Program, turns: Turns) -> float:
    """Bytes that all instructions read and write in main memory, including all iterations of loops.

    If only a part of an array is read, or written in place, only that part counts.
    """
    inner = {called for each in _every(program) if each.kind not in FREE for _, called in each.calls}
    total = 0.0
    for computation, instructions in program.items():
        held: dict[str, float] = {}
        moved = 0.0
        for each in instructions:
            sizes = array_bytes(each.result)
            held[each.name] = sum(sizes)
            if computation in inner or each.kind in FREE or each.kind.endswith("-done"):
                continue
            if each.kind == "copy-start":  # (to, from, context)
                moved += sum(sizes[:2])
                continue
            reads = enumerate(each.operands)
            moved += sum(min(held.get(name, 0.0), _read(each, index, program)) for index, name in reads)
            # the type of a started operation has its operands and its results
            moved += sum(sizes) / 2 if each.kind.endswith("-start") else _written(each, sizes, instructions, program)
        total += turns.of[computation] * moved
    return total


def _read(reader: Instruction, index: int, program: Program) -> float:
    """Upper bound of the bytes that an instruction reads of its operand at this index; infinity: all of it."""
    if index == 0 and reader.kind in PARTS:
        return sum(array_bytes(reader.result, inside=True))
    if index == 0 and reader.kind == UPDATE:
        return 0.0
    if reader.kind == "fusion":
        body = program.get(reader.calls[0][1], ()) if reader.calls else ()
        own = next((each.name for each in body if each.kind == "parameter" and each.arguments == str(index)), None)
        return math.inf if own is None else _read_inside(own, body, program)
    return math.inf


def _read_inside(name: str, body: Sequence[Instruction], program: Program) -> float:
    total = 0.0
    for each in body:
        for index, operand in enumerate(each.operands):
            if operand == name:
                through = each.kind == "bitcast"  # the same bytes in another shape
                total += _read_inside(each.name, body, program) if through else _read(each, index, program)
    return total


def _written(writer: Instruction, sizes: Sequence[float], around: Sequence[Instruction], program: Program) -> float:
    """Bytes that an instruction writes; for an update in place, those of the update. `around`: its computation."""
    if writer.kind == "bitcast" or writer.kind == UPDATE:
        named = {each.name: each for each in around}
        source = named.get(writer.operands[writer.kind == UPDATE])
        if source is None:
            return sum(sizes)
        inside = array_bytes(source.result, inside=True)
        return min(sum(sizes), sum(inside) if writer.kind == UPDATE else _written(source, inside, around, program))
    body = program.get(writer.calls[0][1], ()) if writer.kind == "fusion" and writer.calls else ()
    root = next((each for each in body if each.root), None)
    if root is None:
        return sum(sizes)
    named = {each.name: each for each in body}
    results = [named.get(name) for name in root.operands] if root.kind == "tuple" else [root]
    if len(results) != len(sizes):
        return sum(sizes)
    return sum(
        size if each is None else min(size, _written(each, array_bytes(each.result, inside=True), body, program))
        for size, each in zip(sizes, results)
    )


def _every(program: Program) -> list[Instruction]:
    return [each for instructions in program.values() for each in instructions]


def _bytes(kind: str, shape: str, order: str, rest: str, *, inside: bool) -> float:
    if not inside and re.search(r"S\([1-9]", rest):
        return 0.0
    lengths = [int(length) for length in shape.split(",") if length]
    tile = re.search(r"T\(([\d,]+)\)", rest)
    if tile and order:
        sides = [int(side) for side in tile[1].split(",")]
        for axis, side in zip([int(axis) for axis in order.split(",")], reversed(sides)):  # the innermost first
            lengths[axis] = math.ceil(lengths[axis] / side) * side
    return float(BYTES.get(kind, 0) * math.prod(lengths))

"""Finds what a compiled program sends between chips in its text."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from jaxgan.planning.hlo import Instruction, Turns
from jaxgan.planning.traffic import BYTES

KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
ARRAY = re.compile(r"\b([a-z]+\d*)\[([\d,]*)\]")
GROUPS = re.compile(r"replica_groups=\{\{([\d,]*)\}")
IOTA_GROUPS = re.compile(r"replica_groups=\[\d+,(\d+)\]")

MESH_GROUPS = re.compile(r"replica_groups=(?:mesh)?\[([^\]]*)\]\s*\{([^}]*)\}")  # ['a'=4,'b'=2] {'a'}


class Collective(NamedTuple):
    """One operation: its kind, the bytes of its result on a chip, the chips that take part, and how often it runs."""

    kind: str
    size: int
    group: int
    turns: float

    @property
    def sent(self) -> float:
        """Bytes that each chip sends in all runs with the ring algorithms (all-reduce: scatter, then gather)."""
        n = self.group
        share = (n - 1) / n
        once = {
            "all-reduce": 2 * share * self.size,
            "all-gather": share * self.size,
            "reduce-scatter": share * self.size * n,  # of the operand
            "all-to-all": share * self.size,
            "collective-permute": float(self.size),
        }[self.kind]
        return self.turns * once


def find_collectives(program: Mapping[str, Sequence[Instruction]], turns: Turns, chips: int) -> Iterator[Collective]:
    """The collectives of a compiled program on this number of chips."""
    for computation, instructions in program.items():
        for each in instructions:
            start, kind = each.kind.endswith("-start"), each.kind.removesuffix("-start")
            if kind not in KINDS:  # results of "-done" were counted at their start
                continue
            sizes = [_bytes(*array) for array in ARRAY.findall(each.result)]
            if start and kind != "all-reduce" and len(sizes) > 1:  # operands, then results
                sizes = sizes[len(sizes) // 2 :] if kind != "collective-permute" else sizes[1:2]
            group = _group(each.attributes, chips)
            if group > 1:
                yield Collective(kind, sum(sizes), group, turns.of[computation])


def _group(attributes: str, chips: int) -> int:
    groups, iota, mesh = (form.search(attributes) for form in (GROUPS, IOTA_GROUPS, MESH_GROUPS))
    if groups:
        return len(groups[1].split(","))
    if iota:
        return int(iota[1])
    if mesh:
        lengths = dict(re.findall(r"'(\w+)'=(\d+)", mesh[1]))
        parts = re.findall(r"'(\w+)'(?::\(\d+\)(\d+))?", mesh[2])  # an axis, or the size of a part of it
        return math.prod(int(part or lengths[axis]) for axis, part in parts)
    return chips


def _bytes(kind: str, shape: str) -> int:
    return BYTES.get(kind, 0) * math.prod(int(side) for side in shape.split(",") if side)

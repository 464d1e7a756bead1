"""What a compiled program sends between chips, read from its text."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

from jaxgan.planning.traffic import BYTES

KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
# a result, perhaps a tuple, and the operation; what "-done" gives was counted at its start
LINE = re.compile(rf"=\s*(\(.*?\)|\S+)\s+({'|'.join(KINDS)})(-start)?\(")
ARRAY = re.compile(r"\b([a-z]+\d*)\[([\d,]*)\]")
GROUPS = re.compile(r"replica_groups=\{\{([\d,]*)\}")
IOTA_GROUPS = re.compile(r"replica_groups=\[\d+,(\d+)\]")

MESH_GROUPS = re.compile(r"replica_groups=(?:mesh)?\[([^\]]*)\]\s*\{([^}]*)\}")  # ['a'=4,'b'=2] {'a'}


class Collective(NamedTuple):
    """One operation: its kind, the bytes of its result on a chip, and how many chips take part."""

    kind: str
    size: int
    group: int

    @property
    def sent(self) -> float:
        """Bytes that each chip sends, by the ring algorithms (all-reduce: scatter, then gather)."""
        n = self.group
        share = (n - 1) / n
        return {
            "all-reduce": 2 * share * self.size,
            "all-gather": share * self.size,
            "reduce-scatter": share * self.size * n,  # of what goes in
            "all-to-all": share * self.size,
            "collective-permute": float(self.size),
        }[self.kind]


def find_collectives(text: str, chips: int) -> list[Collective]:
    """Those of a compiled program (HLO text) over so many chips; one in a loop counts once."""
    return list(_each(text, chips))


def _each(text: str, chips: int) -> Iterator[Collective]:
    for line in text.splitlines():
        found = LINE.search(line)
        if found is None:
            continue
        result, kind, start = found.groups()
        sizes = [_bytes(*array) for array in ARRAY.findall(result)]
        if start and kind in ("all-gather", "collective-permute", "reduce-scatter", "all-to-all") and len(sizes) > 1:
            sizes = sizes[len(sizes) // 2 :] if kind != "collective-permute" else sizes[1:2]  # operands, then results
        group = _group(line, chips)
        if group > 1:
            yield Collective(kind, sum(sizes), group)


def _group(line: str, chips: int) -> int:
    groups, iota, mesh = (form.search(line) for form in (GROUPS, IOTA_GROUPS, MESH_GROUPS))
    if groups:
        return len(groups[1].split(","))
    if iota:
        return int(iota[1])
    if mesh:
        lengths = dict(re.findall(r"'(\w+)'=(\d+)", mesh[1]))
        parts = re.findall(r"'(\w+)'(?::\(\d+\)(\d+))?", mesh[2])  # an axis, or so many of a part of it
        return math.prod(int(part or lengths[axis]) for axis, part in parts)
    return chips


def _bytes(kind: str, shape: str) -> int:
    return BYTES.get(kind, 0) * math.prod(int(side) for side in shape.split(",") if side)

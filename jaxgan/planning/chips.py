"""Published peaks of TPU chips, and the shapes of their slices."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from jaxgan.errors import UserError
from jaxgan.parallel.peaks import peak_flops


class Chip(NamedTuple):
    """One generation of TPUs. Rates are per second and chip."""

    kind: str  # jax's name of the device
    memory: float  # bytes
    bandwidth: float  # bytes to and from memory
    links: float  # bytes sent over all its links together, half of the published bidirectional rate
    axes: int  # of a slice
    wraps_from: int  # chips from which on an axis is a ring; shorter axes are lines
    source: str
    slices: tuple[str, ...]  # shapes on offer
    cubes: int = 0  # chips of the largest slice built from 4x4x4 cubes, all of which are on offer

    @property
    def flops(self) -> float:
        """Peak FLOPs per second of 16-bit matrix products."""
        peak = peak_flops(self.kind)
        assert peak is not None
        return peak


GOOGLE = "docs.cloud.google.com/tpu/docs/"
CUBE = 4  # chips per side
SQUARES = ("1x1", "2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16")
BLOCKS = ("2x2x1", "2x2x2", "2x2x4", "2x4x4")
CHIPS = {  # not v4: the compiler counts each of its chips as two devices
    "v5e": Chip("TPU v5 lite", 16e9, 819e9, 200e9, 2, 16, GOOGLE + "v5e", SQUARES),
    "v5p": Chip("TPU v5", 95e9, 2765e9, 600e9, 3, 4, GOOGLE + "v5p", BLOCKS, 6144),
    "v6e": Chip("TPU v6 lite", 32e9, 1638e9, 400e9, 2, 16, GOOGLE + "v6e", SQUARES),
}


class Topology(NamedTuple):
    """A slice, e.g. v5e:8x8."""

    family: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.family}:{'x'.join(map(str, self.shape))}"

    @property
    def chip(self) -> Chip:
        """The chip that it consists of."""
        return CHIPS[self.family]

    @property
    def chips(self) -> int:
        """The number of chips."""
        return math.prod(self.shape)

    @property
    def links(self) -> float:
        """Bytes per second that a chip can send in a reduction over all chips: half if no axis is a ring."""
        ring = any(side >= self.chip.wraps_from for side in self.shape)
        return self.chip.links if ring else self.chip.links / 2


def read_topologies(text: str) -> list[Topology]:
    """Slices separated by commas, sorted by size within each family. Raises UserError for slices that do not exist."""
    found = [_read(part.strip(), text) for part in text.split(",")]
    order = list(dict.fromkeys(topology.family for topology in found))
    return sorted(dict.fromkeys(found), key=lambda topology: (order.index(topology.family), topology.chips))


def _read(part: str, text: str) -> Topology:
    family, _, shape = part.partition(":")
    got = f"--topology: got {(part or text)[:99]!r}"
    if family not in CHIPS:
        raise UserError(f"{got}, expected one of {', '.join(CHIPS)} with a shape, e.g. v5e:8x8")
    sides = shape.split("x")
    if all(re.fullmatch("[1-9][0-9]{0,3}", side) for side in sides):
        found = Topology(family, tuple(map(int, sides)))
        if _is_on_offer(found):
            return found
    chip = CHIPS[family]
    cubes = f", and multiples of {CUBE} with at most {chip.cubes} chips, e.g. 4x4x8" if chip.cubes else ""
    raise UserError(f"{got}, expected one of {', '.join(chip.slices)}{cubes} for {family}")


def _is_on_offer(topology: Topology) -> bool:
    """Whether Google offers this slice; its sides may be in any order."""
    chip = topology.chip
    if sorted(topology.shape) in [sorted(map(int, shape.split("x"))) for shape in chip.slices]:
        return True
    whole = len(topology.shape) == chip.axes and all(side % CUBE == 0 for side in topology.shape)
    return whole and topology.chips <= chip.cubes

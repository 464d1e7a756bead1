"""Published peaks of TPU chips, and the shapes of their slices."""

from __future__ import annotations

import math
from typing import NamedTuple

from jaxgan.errors import UserError
from jaxgan.parallel.peaks import peak_flops


class Chip(NamedTuple):
    """One generation. Rates are a second, of one chip."""

    kind: str  # as jax names the device
    memory: float  # bytes
    bandwidth: float  # bytes to and from memory
    links: float  # bytes that all its links send together, half of the published both-way rate
    axes: int  # of a slice
    wraps_from: int  # an axis of so many chips is a ring, a shorter one a line
    source: str

    @property
    def flops(self) -> float:
        """Of 16-bit matrix products."""
        peak = peak_flops(self.kind)
        assert peak is not None
        return peak


GOOGLE = "docs.cloud.google.com/tpu/docs/"
CHIPS = {  # not v4, whose chips the compiler takes for two devices each
    "v5e": Chip("TPU v5 lite", 16e9, 819e9, 200e9, 2, 16, GOOGLE + "v5e"),
    "v5p": Chip("TPU v5", 95e9, 2765e9, 600e9, 3, 4, GOOGLE + "v5p"),
    "v6e": Chip("TPU v6 lite", 32e9, 1638e9, 400e9, 2, 16, GOOGLE + "v6e"),
}


class Topology(NamedTuple):
    """A slice, such as v5e:8x8."""

    family: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.family}:{'x'.join(map(str, self.shape))}"

    @property
    def chip(self) -> Chip:
        """What it is made of."""
        return CHIPS[self.family]

    @property
    def chips(self) -> int:
        """How many."""
        return math.prod(self.shape)

    @property
    def links(self) -> float:
        """Bytes a second that a chip can send in a reduction over all: half where no axis is a ring."""
        ring = any(side >= self.chip.wraps_from for side in self.shape)
        return self.chip.links if ring else self.chip.links / 2


def read_topologies(text: str) -> list[Topology]:
    """Slices separated by commas, in families by size. Raises UserError for what is none."""
    found = []
    for part in text.split(","):
        family, _, shape = part.strip().partition(":")
        sides = shape.split("x")
        if family not in CHIPS or not all(side.isdecimal() and int(side) > 0 for side in sides):
            raise UserError(f"--topology: got {part!r}, accepted are {', '.join(CHIPS)} with a shape, such as v5e:8x8")
        if len(sides) != CHIPS[family].axes:
            raise UserError(f"--topology: got {part!r}, accepted are {CHIPS[family].axes} sides for {family}")
        found.append(Topology(family, tuple(map(int, sides))))
    order = list(dict.fromkeys(topology.family for topology in found))
    return sorted(dict.fromkeys(found), key=lambda topology: (order.index(topology.family), topology.chips))

"""A lower bound of the time of a step: the slowest of its arithmetic, its memory traffic and its interconnect.

After Williams et al. 2009, with a third roof for communication between chips. `seconds` assumes that the three overlap
completely; `efficiency` assumes that communication does not overlap at all, and is the more pessimistic bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from jaxgan.planning.chips import Topology
from jaxgan.planning.compiling import Compiled


class Load(NamedTuple):
    """The work of one chip per step, averaged over the steps of a period."""

    flops: float
    bytes: float  # read and written in its memory
    sent: float  # bytes to other chips
    collectives: float  # their number
    unknown: float  # loops with an unknown number of iterations, counted as one
    params: float  # bytes
    moments: float
    averages: float  # and the rest of the state
    temporaries: float  # including activations, of the largest step
    peak: float  # bytes in use at once, of the largest step


class Roofline(NamedTuple):
    """Seconds per step of each roof."""

    compute: float
    memory: float
    interconnect: float

    @property
    def seconds(self) -> float:
        """The time of the slowest roof, with the others hidden behind it."""
        return max(self)

    @property
    def bound(self) -> str:
        """The name of the slowest roof."""
        return max(self._asdict().items(), key=lambda item: item[1])[0]

    @property
    def efficiency(self) -> float:
        """The efficiency of weak scaling if no communication overlaps: the fraction of a step without it."""
        local = max(self.compute, self.memory)
        return local / (local + self.interconnect)


def mean_load(steps: Sequence[Compiled]) -> Load:
    """Averages work over the steps, with the first also for those that are not compiled; memory is the maximum.

    The compiler counts one iteration of each loop, so its FLOPs are raised to those of the traced program.
    """
    shares = [step.share for step in steps]
    shares[0] = 1.0 - sum(shares[1:])
    first, weighted = steps[0], list(zip(shares, steps, strict=True))
    return Load(
        flops=sum(share * max(step.flops, step.model_flops) for share, step in weighted),
        bytes=sum(share * step.accessed for share, step in weighted),
        sent=sum(share * step.sent for share, step in weighted),
        collectives=sum(share * sum(step.collectives.values()) for share, step in weighted),
        unknown=max(step.unknown for step in steps),
        params=first.params,
        moments=first.moments,
        averages=first.rest,
        temporaries=max(step.temporaries for step in steps),
        peak=max(step.needed for step in steps),
    )


def roofline(load: Load, topology: Topology) -> Roofline:
    """The three times of a load on a slice."""
    chip = topology.chip
    return Roofline(load.flops / chip.flops, load.bytes / chip.bandwidth, load.sent / topology.links)

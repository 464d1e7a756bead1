"""The least time that a step can take: of its arithmetic, its memory traffic or its interconnect the slowest.

After Williams et al. 2009 with a third roof for what chips send each other. The three are taken to overlap
wholly in `seconds` and not at all in `efficiency`, so the latter is the worse bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from jaxgan.planning.chips import Topology
from jaxgan.planning.compiling import Compiled


class Load(NamedTuple):
    """What one chip has to do in a step, on average over the steps of a period."""

    flops: float
    bytes: float  # read and written in its memory
    sent: float  # bytes to other chips
    collectives: float  # how many
    unknown: float  # loops whose number of turns is not known, counted as one
    params: float  # bytes
    moments: float
    averages: float  # with all else that the state holds
    temporaries: float  # activations among them, of the largest step
    peak: float  # bytes in use at once, of the largest step


class Roofline(NamedTuple):
    """Seconds a step of each roof."""

    compute: float
    memory: float
    interconnect: float

    @property
    def seconds(self) -> float:
        """The slowest, the others wholly hidden behind it."""
        return max(self)

    @property
    def bound(self) -> str:
        """What the slowest is."""
        return max(self._asdict().items(), key=lambda item: item[1])[0]

    @property
    def efficiency(self) -> float:
        """Of weak scaling: the share of a step that remains where none of the sending is hidden."""
        local = max(self.compute, self.memory)
        return local / (local + self.interconnect)


def mean_load(steps: Sequence[Compiled]) -> Load:
    """Work is averaged over the steps, the first also for those not compiled; of memory the most counts.

    Of loops the compiler counts the FLOPs of one turn: they are raised to those of the traced program.
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

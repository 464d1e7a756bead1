"""Formats a plan as text and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from jaxgan.planning.chips import Topology
from jaxgan.planning.roofline import Load, Roofline, roofline

HOST = 4  # chips per host
COLUMNS = (
    *("slice", "chips", "batch", "fits", "batch that fits, a chip", "memory a chip"),
    *("ms a step", "bound by", "{}/s", "a chip", "efficiency", "is"),
)


class Row(NamedTuple):
    """A slice with a batch, and the load of a step on one of its chips."""

    topology: Topology
    batch: int  # images over all chips
    load: Load
    compiled: bool  # or else derived from compiled rows

    @property
    def roof(self) -> Roofline:
        """The times of a step."""
        return roofline(self.load, self.topology)

    @property
    def fits(self) -> bool:
        """Whether the peak of memory use is within the chip's memory."""
        return self.load.peak <= self.topology.chip.memory

    @property
    def state(self) -> float:
        """Bytes per chip that a run holds between steps."""
        return self.load.params + self.load.moments + self.load.averages

    @property
    def largest_batch(self) -> int | None:
        """Maximum batch size per chip, if temporaries grow with it; None if there are hardly any temporaries.

        An estimate: temporaries that stay inside the chip now may be in memory for larger batches.
        """
        images, held = self.batch / self.topology.chips, self.load.temporaries
        if held < 0.01 * self.topology.chip.memory:
            return None
        return int((self.topology.chip.memory - (self.load.peak - held)) / held * images)

    @property
    def images_per_second(self) -> float:
        """The rate of all chips together."""
        return self.batch / self.roof.seconds


class Refused(NamedTuple):
    """A slice with a batch that has no figures."""

    topology: Topology
    batch: int
    why: str


def derived(topology: Topology, batch: int, small: Row, large: Row) -> Row:
    """Interpolates between two compiled rows: the load of a chip is a + b / chips in both kinds of scaling.

    Weak scaling: replicated parts are constant; parts sharded by fsdp or sent around rings vary with 1 / chips.
    Strong scaling: so do the images of a chip.
    """
    low, high, at = (1 / each.chips for each in (small.topology, large.topology, topology))
    share = (low - at) / (low - high) if low != high else 0.0
    pairs = zip(small.load, large.load, strict=True)
    return Row(topology, batch, Load(*(a + share * (b - a) for a, b in pairs)), False)


def _unit(frames: int) -> str:
    """The unit of rates: an example of several frames is a clip."""
    return "images" if frames == 1 else "clips"


def details(row: Row | Refused, frames: int = 1) -> list[str]:
    """All figures of one row in lines; `frames` is the number of frames of an example."""
    if isinstance(row, Refused):
        return [f"{_named(row)}, does not compile", f"  {row.why}"]
    load, chip, roof = row.load, row.topology.chip, row.roof
    return [
        f"{_named(row)}, {'compiled' if row.compiled else 'derived'}",
        f"  memory a chip    {'fits' if row.fits else 'DOES NOT FIT'}: {_bytes(load.peak)} of {_bytes(chip.memory)}: "
        f"params {_bytes(load.params)}, moments {_bytes(load.moments)}, averages {_bytes(load.averages)}, "
        f"activations, temporaries and code {_bytes(load.temporaries)}",
        "  batch that fits  "
        + (
            "not reported: temporaries are too small"
            if row.largest_batch is None
            else f"about {row.largest_batch:,} a chip"
        ),
        f"  a step, a chip   {load.flops / 1e9:,.3g} GFLOPs, {_bytes(load.bytes)} of memory traffic, "
        f"{_bytes(load.sent)} sent in {load.collectives:g} collectives"
        + (f"; {load.unknown:g} loops of unknown length count as one iteration" if load.unknown else ""),
        f"  roofline         {1e3 * roof.seconds:.3g} ms, bound by {roof.bound}: compute {1e3 * roof.compute:.3g} ms, "
        f"memory {1e3 * roof.memory:.3g} ms, interconnect {1e3 * roof.interconnect:.3g} ms",
        f"  predicted        at most {row.images_per_second:,.0f} {_unit(frames)}/s, "
        f"{row.images_per_second / row.topology.chips:,.0f} a chip",
    ]


def decoding(row: Row | Refused, frames: int) -> list[str]:
    """A line with the clips that a host must decode per second for the rate of a row; no line for pictures."""
    if isinstance(row, Refused) or frames == 1:
        return []
    chips = min(row.topology.chips, HOST)
    rate = row.images_per_second * chips / row.topology.chips
    host = f"a host of {chips} chip{'s' * (chips > 1)}"
    return [f"  decoding         up to {rate:,.0f} clips/s of {frames} frames on {host}, unless they are preloaded"]


def table(rows: Sequence[Row | Refused], frames: int = 1) -> list[str]:
    """A scaling table in Markdown; see `Roofline.efficiency` for the column of this name."""
    heads = " | ".join(COLUMNS).format(_unit(frames))
    lines = [f"| {heads} |", "|---" * len(COLUMNS) + "|"]
    for row in rows:
        if isinstance(row, Refused):
            first = (row.topology, row.topology.chips, f"{row.batch:,}", "no")
            lines.append(f"| {' | '.join(map(str, first))} |{' - |' * (len(COLUMNS) - 5)} does not compile |")
            continue
        roof = row.roof
        cells = (
            row.topology,
            row.topology.chips,
            f"{row.batch:,}",
            "yes" if row.fits else "no",
            "-" if row.largest_batch is None else f"about {row.largest_batch:,}",
            _bytes(row.load.peak),
            f"{1e3 * roof.seconds:.3g}",
            roof.bound,
            f"{row.images_per_second:,.0f}",
            f"{row.images_per_second / row.topology.chips:,.0f}",
            f"{roof.efficiency:.1%}",
            "compiled" if row.compiled else "derived",
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines


def to_tree(row: Row | Refused) -> dict[str, Any]:
    """A row for JSON."""
    common = {"topology": str(row.topology), "chips": row.topology.chips, "batch": row.batch}
    if isinstance(row, Refused):
        return {**common, "compiled": False, "fits": False, "refused": row.why}
    roof = row.roof
    return {
        **common,
        "compiled": row.compiled,
        "fits": row.fits,
        "largest_batch_a_chip": row.largest_batch,
        "chip": {**row.topology.chip._asdict(), "flops": row.topology.chip.flops},
        "load": row.load._asdict(),
        "seconds": {**roof._asdict(), "step": roof.seconds},
        "bound": roof.bound,
        "efficiency": roof.efficiency,
        "images_per_second": row.images_per_second,
        "images_per_second_a_chip": row.images_per_second / row.topology.chips,
    }


def _named(row: Row | Refused) -> str:
    return f"{row.topology}, batch {row.batch:,} ({row.batch / row.topology.chips:g} a chip)"


def _bytes(count: float) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count:.0f} B"

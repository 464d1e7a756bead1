"""Finds the mesh, microbatches and rematerialisation that are predicted to be fastest for a config on a slice."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from jaxgan.config.run import RunConfig
from jaxgan.errors import UserError
from jaxgan.planning.chips import Topology
from jaxgan.planning.report import Row
from jaxgan.planning.roofline import Load

LIMIT = 60 * 60.0  # seconds per search
REMATS = ("none", "elementwise", "full")
MICROBATCHES = (1, 2, 4, 8)

Measure = Callable[[RunConfig, Topology, float], Load]  # the last argument: its time limit in seconds
Change = Mapping[str, object]  # fields of a config, named as on the command line


class Best(NamedTuple):
    """The fastest variant that fits."""

    change: Change
    row: Row


def search(
    config: RunConfig, topology: Topology, measure: Measure, report: Callable[[str], None], *, limit: float = LIMIT
) -> Best | None:
    """The best variant that was tried before the limit, or None if nothing fits. `report` gets a line for each one.

    All variants are tried on all meshes, those with the least recomputation first, and on the fastest meshes first:
    recomputation may save memory traffic and be faster. Variants that cannot win are skipped: meshes on which the state
    alone is too large, and all remaining variants once the best is compute-bound without recomputation.
    """
    ends = time.monotonic() + limit
    left = [dict(mesh) for mesh in meshes(topology.chips)]
    seconds: dict[str, float] = {}  # of the fastest step on each mesh so far, whether it fits or not
    best: Best | None = None
    for way in ways(config):
        for mesh in sorted(left, key=lambda mesh: seconds.get(str(mesh), math.inf)):
            change = {"parallel.mesh": mesh, **way}
            tried = changed(config, change)
            if tried.batch_size % (topology.chips * tried.microbatches):
                continue
            remaining = ends - time.monotonic()
            if remaining <= 0:
                report(f"stopped after {limit / 60:.0f} min, before all variants were tried")
                return best
            try:
                row = Row(topology, tried.batch_size, measure(tried, topology, remaining), True)
            except UserError as refused:
                report(f"  {_described(change)}: {refused}")
                continue
            seconds[str(mesh)] = min(seconds.get(str(mesh), math.inf), row.roof.seconds)
            if row.state > topology.chip.memory:
                left.remove(mesh)
            better = row.fits and (best is None or row.roof.seconds < best.row.roof.seconds)
            result = f"{1e3 * row.roof.seconds:.3g} ms, bound by {row.roof.bound}" if row.fits else "does not fit"
            report(f"  {_described(change)}: {result}{', the best so far' if better else ''}")
            if better:
                best = Best(change, row)
            if best is not None and best.row.roof.bound == "compute" and best.change["remat"] == "none":
                return best
    return best


def meshes(chips: int) -> Iterator[Mapping[str, int]]:
    """Meshes from all data to all fsdp, in powers of two."""
    shards = 1
    while shards <= chips:
        if chips % shards == 0:
            yield {"data": chips // shards, "fsdp": shards}
        shards *= 2


def ways(config: RunConfig) -> list[Change]:
    """Variants of a step, those with the least recomputation and the fewest launches first."""
    ranked = [
        (part + again, {"microbatches": microbatches, "remat": remat})
        for part, microbatches in enumerate(MICROBATCHES)
        for again, remat in enumerate(REMATS)
        if config.batch_size % microbatches == 0
    ]
    return [way for _, way in sorted(ranked, key=lambda each: each[0])]


def changed(config: RunConfig, change: Change) -> RunConfig:
    """The config with a change."""
    fields = {name: value for name, value in change.items() if name != "parallel.mesh"}
    parallel = dataclasses.replace(config.parallel, mesh=change["parallel.mesh"])  # type: ignore[arg-type]
    return dataclasses.replace(config, parallel=parallel, **fields)  # type: ignore[arg-type]


def flags(change: Change) -> str:
    """A change as flags of the command line."""
    named = {name: value for name, value in change.items() if not isinstance(value, Mapping)}
    mesh = change["parallel.mesh"]
    assert isinstance(mesh, Mapping)
    named |= {f"parallel.mesh.{axis}": size for axis, size in mesh.items()}
    return " ".join(f"--config.{name}={value}" for name, value in named.items())


def _described(change: Change) -> str:
    mesh = change["parallel.mesh"]
    assert isinstance(mesh, Mapping)
    shape = " x ".join(f"{axis} {size}" for axis, size in mesh.items())
    return f"{shape}, microbatches {change['microbatches']}, remat {change['remat']}"

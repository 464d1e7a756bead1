"""The mesh, microbatches and rematerialisation with which a config is predicted to be fastest on a slice."""

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

LIMIT = 60 * 60.0  # seconds a search
REMATS = ("none", "elementwise", "full")
MICROBATCHES = (1, 2, 4, 8)

Measure = Callable[[RunConfig, Topology, float], Load]  # with the seconds that it may take
Change = Mapping[str, object]  # fields of a config, as the command line has them


class Best(NamedTuple):
    """The fastest way that fits."""

    change: Change
    row: Row


def search(
    config: RunConfig, topology: Topology, measure: Measure, tell: Callable[[str], None], *, limit: float = LIMIT
) -> Best | None:
    """The best of what was tried before the limit, told each time that there is a better one; None if nothing fits.

    All ways are tried on all meshes, those that compute the least again first and on the fastest meshes first: what
    is computed again may save traffic and be faster. Left out is what cannot win: meshes on which the state alone
    is too large, and all that is left once the best is bound by the arithmetic of a step that computes nothing twice.
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
                tell(f"stopped after {limit / 60:.0f} min, not all ways were tried")
                return best
            try:
                row = Row(topology, tried.batch_size, measure(tried, topology, remaining), True)
            except UserError as refused:
                tell(f"  {_told(change)}: {refused}")
                continue
            seconds[str(mesh)] = min(seconds.get(str(mesh), math.inf), row.roof.seconds)
            if row.state > topology.chip.memory:
                left.remove(mesh)
            better = row.fits and (best is None or row.roof.seconds < best.row.roof.seconds)
            told = f"{1e3 * row.roof.seconds:.3g} ms, bound by {row.roof.bound}" if row.fits else "does not fit"
            tell(f"  {_told(change)}: {told}{', the best so far' if better else ''}")
            if better:
                best = Best(change, row)
            if best is not None and best.row.roof.bound == "compute" and best.change["remat"] == "none":
                return best
    return best


def meshes(chips: int) -> Iterator[Mapping[str, int]]:
    """From all data to all fsdp, by powers of two."""
    shards = 1
    while shards <= chips:
        if chips % shards == 0:
            yield {"data": chips // shards, "fsdp": shards}
        shards *= 2


def ways(config: RunConfig) -> list[Change]:
    """Ways to play, those that compute or launch the least again first."""
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


def _told(change: Change) -> str:
    mesh = change["parallel.mesh"]
    assert isinstance(mesh, Mapping)
    shape = " x ".join(f"{axis} {size}" for axis, size in mesh.items())
    return f"{shape}, microbatches {change['microbatches']}, remat {change['remat']}"

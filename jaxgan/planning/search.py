"""The mesh, microbatches and rematerialisation with which a config is predicted to be fastest on a slice."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping

from jaxgan.config import RunConfig
from jaxgan.errors import UserError
from jaxgan.planning.chips import Topology
from jaxgan.planning.report import Row
from jaxgan.planning.roofline import Load

LIMIT = 60 * 60.0  # seconds a search
REMATS = ("none", "elementwise", "full")
MICROBATCHES = (1, 2, 4, 8)

Measure = Callable[[RunConfig, Topology, float], Load]  # with the seconds that it may take
Change = Mapping[str, object]  # fields of a config, as the command line has them


def search(
    config: RunConfig, topology: Topology, measure: Measure, tell: Callable[[str], None], *, limit: float = LIMIT
) -> tuple[Change, Row] | None:
    """The best of what was tried before the limit, told each time that there is a better one; None if nothing fits.

    For each mesh the ways to save memory are tried from the cheapest on, up to the first with which the step fits:
    all of them cost time, so none after it can be faster.
    """
    ends = time.monotonic() + limit
    best: tuple[Change, Row] | None = None
    for mesh in meshes(topology.chips):
        for change in ways(config, mesh, topology.chips):
            left = ends - time.monotonic()
            if left <= 0:
                tell(f"stopped after {limit / 60:.0f} min")
                return best
            tried = changed(config, change)
            try:
                row = Row(topology, tried.batch_size, measure(tried, topology, left), True)
            except UserError as refused:
                tell(f"  {_told(change)}: {refused}")
                continue
            told = f"{1e3 * row.roof.seconds:.3g} ms, bound by {row.roof.bound}" if row.fits else "does not fit"
            better = row.fits and (best is None or row.roof.seconds < best[1].roof.seconds)
            tell(f"  {_told(change)}: {told}{', the best so far' if better else ''}")
            if better:
                best = change, row
            if row.fits:
                break
    return best


def meshes(chips: int) -> Iterator[Mapping[str, int]]:
    """All data and up to all fsdp, by factors of four: what lies between them differs little."""
    shards = 1
    while shards <= chips:
        if chips % shards == 0:
            yield {"data": chips // shards, "fsdp": shards}
        shards *= 4


def ways(config: RunConfig, mesh: Mapping[str, int], chips: int) -> Iterator[Change]:
    """Ways to play on a mesh, those that compute the least again first."""
    for microbatches in MICROBATCHES:
        if config.batch_size % (chips * microbatches) == 0:
            for remat in REMATS:
                yield {"parallel.mesh": dict(mesh), "microbatches": microbatches, "remat": remat}


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

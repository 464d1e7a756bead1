"""`--mode=plan`: predicts memory and speed of a config's train step on TPU slices, by compiling it without a TPU."""

from __future__ import annotations

import dataclasses
import datetime
import importlib.metadata
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jaxgan.building.assemble import check_data, fill_in, make_task
from jaxgan.building.opening import errors_of, open_source
from jaxgan.cli.options import allowed, switch
from jaxgan.cli.outputs import check_outputs
from jaxgan.config.run import RunConfig
from jaxgan.data.sources import DataSpec, joined
from jaxgan.errors import FINISHED, SOME_FAILED, UserError
from jaxgan.fields import frames, picture_fields
from jaxgan.planning.chips import Topology, read_topologies
from jaxgan.planning.compiling import check_compiler, compile_step
from jaxgan.planning.report import Refused, Row, decoding, derived, details, table, to_tree
from jaxgan.planning.roofline import Load, mean_load
from jaxgan.planning.search import flags, search
from jaxgan.system.paths import cache_dir
from jaxgan.system.whole_files import replace_file

Measure = Callable[[RunConfig, Topology], Load]


def run(config: RunConfig, workdir: str, options: Mapping[str, str]) -> int:
    """Prints the plan, each slice as soon as it is compiled, and writes it as JSON to `--output`.

    Exit status 1 if a slice does not compile (out of memory, or out of time), or if a search found nothing that fits.

    Raises UserError for invalid options, and if libtpu is missing.
    """
    check_outputs("plan", workdir, options)
    if "topology" not in options:
        raise UserError("--topology is missing: expected TPU slices, such as v5e:8x8 or v5e:2x2,v5e:16x16")
    topologies = read_topologies(options["topology"])
    searching = read_search(options, topologies)
    check_compiler()
    allow = allowed(options)
    spec = spec_of(config, allow)
    config = fill_in(config, spec, allow)
    check_data(make_task(config, allow), spec)  # reports mistakes before the compiler starts

    def measure(config: RunConfig, topology: Topology, within: float = math.inf) -> Load:
        return mean_load(compile_step(config, spec, topology, cache_dir() / "plans", within=within, allow=allow))

    def keep(trees: Mapping[str, Any]) -> None:
        if "output" in options:
            text = json.dumps({**_made(), **trees}, indent=2, allow_nan=False) + "\n"
            replace_file(options["output"], text.encode())

    count = frames(spec.fields)
    if searching:
        found = search(config, topologies[0], measure, _say)
        if found is None:
            _say(f"no tried setting fits on {topologies[0]}")
            return SOME_FAILED
        change, row = found
        _say("best:", *details(row, count), *decoding(row, count), flags(change))
        keep({"search": {"change": change, **to_tree(row)}})
        return FINISHED
    rows: list[Row | Refused] = []

    def report(row: Row | Refused) -> None:
        _say(*details(row, count), *decoding(row, count))
        rows.append(row)
        keep({"rows": list(map(to_tree, rows))})

    tables = plan(config, topologies, measure, report)
    if len(topologies) > 1:
        for kind, scaled in tables.items():
            _say("", f"{kind} scaling:", *table(scaled, count))
    keep({kind: list(map(to_tree, scaled)) for kind, scaled in tables.items()})
    return SOME_FAILED if any(isinstance(row, Refused) for row in rows) else FINISHED


def _made() -> dict[str, str]:
    """The date of a plan, and the versions that it was made with."""
    versions = {name: importlib.metadata.version(name) for name in ("jax", "libtpu")}
    return {"date": datetime.datetime.now(datetime.UTC).date().isoformat(), **versions}


def read_search(options: Mapping[str, str], topologies: Sequence[Topology]) -> bool:
    """Whether `--plan.search` asks for a search. Raises UserError for more than one slice."""
    asked = switch(options, "plan.search")
    if asked and len(topologies) > 1:
        raise UserError(f"--plan.search: got {len(topologies)} slices, expected one")
    return asked


def _say(*lines: str) -> None:
    print(*lines, sep="\n", flush=True)


def spec_of(config: RunConfig, allow: tuple[str, ...] = ()) -> DataSpec:
    """The spec of the data: from the config if that suffices, else by opening the data set.

    `data.resolution` and `data.channels` suffice for a run without labels or conditions.
    """
    return joined({name: _spec_of(config, name, allow) for name in config.sources})


def _spec_of(config: RunConfig, name: str, allow: tuple[str, ...]) -> DataSpec:
    data = config.sources[name]
    opened = data.source or config.task.get("condition") or data.condition is not None
    if data.resolution is None or data.channels is None or opened:
        with errors_of(name):
            return open_source(data, data.split, allow).spec
    fields = picture_fields(data.resolution, data.resolution, data.channels, frames=data.frames)
    return DataSpec(data.name, data.split, 1, fields, "")


def plan(
    config: RunConfig, topologies: Sequence[Topology], measure: Measure, report: Callable[[Row | Refused], None]
) -> dict[str, list[Row | Refused]]:
    """The rows of weak scaling (fixed images per chip) and of strong scaling (fixed batch), or of a single slice.

    `report` is called with each compiled or refused row at once; a refused slice does not stop the others.

    The batch size of the config is for the smallest slice. Only the smallest and the largest slice of each family are
    compiled; rows in between are derived.
    """
    tables: dict[str, list[Row | Refused]] = {"weak": [], "strong": []}
    smallest = min(topologies, key=lambda each: each.chips)
    if config.batch_size % smallest.chips:
        raise UserError(
            f"config.batch_size: got {config.batch_size}, expected a multiple of {smallest.chips} for {smallest}"
        )
    known: dict[tuple[Topology, int], Row | Refused] = {}

    def compiled(at: Topology, batch: int) -> Row | Refused:
        if (at, batch) not in known:
            row: Row | Refused
            try:
                row = Row(at, batch, measure(dataclasses.replace(config, batch_size=batch), at), True)
            except UserError as refused:
                row = Refused(at, batch, str(refused))
            known[at, batch] = row
            report(row)
        return known[at, batch]

    a_chip = config.batch_size // smallest.chips
    for family in dict.fromkeys(each.family for each in topologies):
        slices = sorted({each for each in topologies if each.family == family}, key=lambda each: each.chips)
        tables["weak"] += _scaled(slices, lambda each: a_chip * each.chips, compiled)
        dividing = [each for each in slices if config.batch_size % each.chips == 0]
        if len(topologies) > 1:
            tables["strong"] += _scaled(dividing, lambda _: config.batch_size, compiled)
    return tables


def _scaled(
    slices: Sequence[Topology],
    batch: Callable[[Topology], int],
    compiled: Callable[[Topology, int], Row | Refused],
) -> list[Row | Refused]:
    ends = [compiled(each, batch(each)) for each in slices[:: max(1, len(slices) - 1)]]

    def between(each: Topology) -> Row | Refused:
        small, large = ends[0], ends[-1]
        if isinstance(small, Row) and isinstance(large, Row):
            return derived(each, batch(each), small, large)
        lacking = small if isinstance(small, Refused) else large
        return Refused(each, batch(each), f"not tried: it is derived from {lacking.topology}")

    return [*ends[:1], *map(between, slices[1:-1]), *ends[1:]]

"""`--mode=plan`: what a config's train step needs and does on TPU slices, compiled for them without one."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Callable, Mapping, Sequence

from jaxgan.assemble import fill_in, make_task
from jaxgan.commands.setup import cache_dir
from jaxgan.config import RunConfig
from jaxgan.data.opening import open_source
from jaxgan.data.sources import DataSpec
from jaxgan.errors import FINISHED, UserError
from jaxgan.planning.chips import Topology, read_topologies
from jaxgan.planning.compiling import check_compiler, compile_step
from jaxgan.planning.report import Row, derived, details, table, to_tree
from jaxgan.planning.roofline import Load, mean_load

Measure = Callable[[RunConfig, Topology], Load]


def run(config: RunConfig, workdir: str, options: Mapping[str, str]) -> int:
    """Prints the plan, and writes it as JSON where `--output` says.

    Raises UserError, also where there is no libtpu and where the compiler fails or takes too long.
    """
    del workdir
    if "topology" not in options:
        raise UserError("--topology is missing: accepted are TPU slices, such as v5e:8x8 or v5e:2x2,v5e:16x16")
    topologies = read_topologies(options["topology"])
    check_compiler()
    spec = spec_of(config)
    config = fill_in(config, spec)
    make_task(config)  # what is wrong with it is told before a compiler starts

    def measure(config: RunConfig, topology: Topology) -> Load:
        return mean_load(compile_step(config, spec, topology, cache_dir() / "plans"))

    tables = plan(config, topologies, measure)
    print(*text(tables), sep="\n")
    if "output" in options:
        trees = {kind: [to_tree(row) for row in rows] for kind, rows in tables.items()}
        pathlib.Path(options["output"]).write_text(json.dumps(trees, indent=2) + "\n")
    return FINISHED


def spec_of(config: RunConfig) -> DataSpec:
    """What the data is: of a config that says so, without opening it; else of the data set.

    `data.resolution` and `data.channels` say it all for a run without labels or conditions.
    """
    data = config.data
    if data.resolution is None or data.channels is None or config.conditional or data.condition is not None:
        return open_source(data, data.split).spec
    return DataSpec(data.name, data.split, 1, data.resolution, data.resolution, data.channels, 0, (), "")


def plan(config: RunConfig, topologies: Sequence[Topology], measure: Measure) -> dict[str, list[Row]]:
    """The rows of weak scaling (a chip's images stay) and of strong scaling (the batch stays), or of one slice alone.

    The config's batch is that of the smallest slice. Of each family the smallest and the largest slice are compiled.
    """
    tables: dict[str, list[Row]] = {"weak": [], "strong": []}
    smallest = min(topologies, key=lambda each: each.chips)
    if config.batch_size % smallest.chips:
        raise UserError(
            f"config.batch_size: got {config.batch_size}, accepted for {smallest} are multiples of {smallest.chips}"
        )
    a_chip = config.batch_size // smallest.chips
    for family in dict.fromkeys(each.family for each in topologies):
        slices = sorted({each for each in topologies if each.family == family}, key=lambda each: each.chips)
        tables["weak"] += _scaled(config, slices, lambda each: a_chip * each.chips, measure)
        dividing = [each for each in slices if config.batch_size % each.chips == 0]
        if len(topologies) > 1:
            tables["strong"] += _scaled(config, dividing, lambda _: config.batch_size, measure)
    return tables


def _scaled(
    config: RunConfig, slices: Sequence[Topology], batch: Callable[[Topology], int], measure: Measure
) -> list[Row]:
    def compiled(at: Topology) -> Row:
        sized = dataclasses.replace(config, batch_size=batch(at))
        return Row(at, sized.batch_size, measure(sized, at), True)

    if len(slices) < 2:
        return [compiled(each) for each in slices]
    small, large = compiled(slices[0]), compiled(slices[-1])
    return [small, *(derived(each, batch(each), small, large) for each in slices[1:-1]), large]


def text(tables: Mapping[str, Sequence[Row]]) -> list[str]:
    """A plan to read."""
    lines = [line for row in tables["weak"] if row.compiled for line in details(row)]
    if len(tables["weak"]) > 1:
        for kind, rows in tables.items():
            lines += ["", f"{kind} scaling:", *table(rows)]
    return lines

"""Lowers the train step of a config from shapes, for a mesh of devices that need not exist."""

from __future__ import annotations

import collections
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from jaxgan.building.assemble import fill_in, make_task
from jaxgan.building.parts import flipped, make_init, make_optimizers, make_step, root_key
from jaxgan.config.run import RunConfig
from jaxgan.data.sources import DataSpec
from jaxgan.game import State, images_shown
from jaxgan.parallel.placement import split_batch
from jaxgan.parallel.runners import JitRunner
from jaxgan.training.batches import sent_batch
from jaxgan.training.feed import make_play
from jaxgan.training.step import DueSet, due_phases

CYCLE = 64  # steps over which the due sets are counted


class Program(NamedTuple):
    """A step before compilation: its due sets with their fractions of all steps, and its inputs."""

    runner: JitRunner
    state: State  # of shapes with shardings
    batch: dict[str, jax.ShapeDtypeStruct]
    due_sets: dict[DueSet, float]

    def lower(self, due: DueSet) -> jax.stages.Lowered:
        """One step with these phases, lowered."""
        return self.runner.lower(self.state, None, [self.batch], [due])

    def flops(self, due: DueSet) -> float:
        """FLOPs of its matrix products and convolutions, over all devices."""
        counted = self.runner.count(self.state, None, [self.batch], [due])
        assert counted is not None
        return counted

    def held(self) -> dict[str, int]:
        """Bytes on each device of params, optimizer moments, and the rest of the state of a run."""
        kept = {"params": self.state.params, "moments": self.state.opt_state}
        sizes = {name: _held(tree) for name, tree in kept.items()}
        return {**sizes, "rest": _held(self.state) - sum(sizes.values())}


def make_program(config: RunConfig, spec: DataSpec, mesh: Mesh, allow: tuple[str, ...] = ()) -> Program:
    """The step as `--mode=train` runs it on this mesh, with data from the host; `allow` as in `make_task`."""
    config = fill_in(config, spec, allow)
    task = make_task(config, allow)
    optimizers = make_optimizers(config, task)
    shown = images_shown(task, spec.fields)
    step = make_step(config, task, optimizers, frames=shown)
    play = make_play(step, spec.fields, root_key(config), flipped=flipped(config))
    runner = JitRunner(play, mesh)
    state = runner.place(jax.eval_shape(make_init(config, task, optimizers, spec)))
    batch = sent_batch(spec.fields, config.batch_size, split_batch(mesh))
    images = config.images or 10**9
    late = max(0, images - CYCLE * config.batch_size * shown)  # at which all phases with a later start are active
    due = (due_phases(task.phases(), number, late) for number in range(CYCLE))
    counts = collections.Counter(due).most_common()
    return Program(runner, state, batch, {phases: count / CYCLE for phases, count in counts})


def dearest(program: Program) -> Sequence[DueSet]:
    """The most frequent due set and, if it is another, the one with the most work."""
    frequent = next(iter(program.due_sets))
    longest = max(program.due_sets, key=program.flops)
    return [frequent] if longest == frequent else [frequent, longest]


def _held(tree: Any) -> int:
    leaves = jax.tree.leaves(tree)
    return sum(int(np.prod(leaf.sharding.shard_shape(leaf.shape))) * _itemsize(leaf.dtype) for leaf in leaves)


def _itemsize(dtype: np.dtype) -> int:
    return 8 if jax.dtypes.issubdtype(dtype, jax.dtypes.prng_key) else np.dtype(dtype).itemsize

"""Builds the parts of training from a config: optimizers, step, initial state."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import jax

from jaxgan.config.checking import unknown_key
from jaxgan.config.run import RunConfig
from jaxgan.data.sources import DataSpec
from jaxgan.errors import UserError
from jaxgan.game import Key, State, Task
from jaxgan.training.batches import example_batch
from jaxgan.training.optimizers import SCALE, Optimizer, lazy_correction, make_optimizer
from jaxgan.training.state import init_state
from jaxgan.training.step import TrainStep, make_train_step


def make_optimizers(config: RunConfig, task: Task) -> dict[str, Optimizer]:
    """The optimizer of each player, corrected for its lazy phases."""
    phases, optimizers = task.phases(), {}
    for player in config.optimizers:
        if player not in task.players:
            raise unknown_key("config.optimizers", player, task.players)
    for player in task.players:
        if player not in config.optimizers:
            raise UserError(f"config.optimizers.{player} is missing")
        corrections = lazy_correction(phases, player)
        section, path = config.optimizers[player], f"config.optimizers.{player}"
        for network in section.get(SCALE, {}):
            if network not in task.players[player]:
                raise unknown_key(f"{path}.{SCALE}", network, task.players[player])
        optimizers[player] = make_optimizer(section, corrections=corrections, path=path)
    return optimizers


def make_step(config: RunConfig, task: Task, optimizers: Mapping[str, Optimizer], *, frames: int = 1) -> TrainStep:
    """The train step of the config. Each example counts as `frames` images."""
    return make_train_step(
        task,
        optimizers,
        images=config.batch_size * frames,
        half_life_images=config.ema.half_life_images,
        rampup=config.ema.rampup,
        simultaneous=config.simultaneous,
        fresh_latents=config.fresh_latents,
        microbatches=config.microbatches,
        remat=config.remat,
    )


def make_init(
    config: RunConfig, task: Task, optimizers: Mapping[str, Optimizer], spec: DataSpec
) -> Callable[[], State]:
    """The pure function that creates the initial state."""

    def init() -> State:
        return init_state(task, optimizers, root_key(config), example_batch(spec.fields))

    return init


def flipped(config: RunConfig) -> list[str]:
    """The sources whose examples are flipped at random."""
    return [name for name, data in config.sources.items() if data.flip]


def root_key(config: RunConfig) -> Key:
    """The key that every other key of a run is folded from."""
    return jax.random.key(config.seed)

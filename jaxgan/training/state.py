"""The state of a run at its start."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from jaxgan.errors import UserError
from jaxgan.game import Batch, Key, State, Task
from jaxgan.training.optimizers import Optimizer


def init_state(task: Task, optimizers: Mapping[str, Optimizer], key: Key, batch: Batch) -> State:
    """The state before the first round, for a batch of the shapes given.

    Pure: `jax.eval_shape` of it needs no memory, and under `jit` with output shardings no device ever
    holds more than its share. Each average starts as a copy of the live weights. Raises UserError for an average of
    a network that no player owns.
    """
    owned = [name for networks in task.players.values() for name in networks]
    for name in task.averaged:
        if name not in owned:
            raise UserError(f"{type(task).__name__}.averaged: got {name!r}, expected are networks of players: {owned}")
    params, variables = task.init(key, batch)
    zero = jnp.zeros((), jnp.int32)
    opt_state = {
        player: optimizers[player](zero, zero).init({name: params[name] for name in networks})
        for player, networks in task.players.items()
    }
    return State(
        step=zero,
        images_seen=zero,
        rollbacks=zero,
        skipped=zero,
        skipped_in_a_row=zero,
        averaged_at=dict.fromkeys(task.averaged, zero),
        params=params,
        variables=variables,
        opt_state=opt_state,
        ema_params={name: jax.tree.map(jnp.copy, params[name]) for name in task.averaged},
        ema_variables={name: jax.tree.map(jnp.copy, variables[name]) for name in task.averaged},
        carry=task.init_carry(),
    )

"""The initial state of a run, and the state at the beginning of a phase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxgan.errors import UserError
from jaxgan.game import Batch, Key, Phase, State, Task
from jaxgan.training.optimizers import Optimizer


def init_state(task: Task, optimizers: Mapping[str, Optimizer], key: Key, batch: Batch) -> State:
    """The state before the first round, for batches of the shapes of `batch`.

    Pure: `jax.eval_shape` of it needs no memory, and under `jit` with output shardings no device ever
    holds more than its share. Each average starts as a copy of the live weights. Raises UserError for an average of
    a network that no player owns.
    """
    owned = [name for networks in task.players.values() for name in networks]
    for name in task.averaged:
        if name not in owned:
            raise UserError(f"{type(task).__name__}.averaged: got {name!r}, expected networks of players: {owned}")
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


def entered(state: State, phases: Sequence[Phase], last: int, now: int) -> State:
    """The state after `Phase.enter` of all phases that begin after `last` images and not after `now`.

    Raises UserError, naming the first array, if `enter` returns arrays of other names or shapes.
    """
    for phase in phases:
        if phase.enter is not None and last < phase.start <= now:
            state = placed_like(phase.enter(state), state, f"phase {phase.name}: enter returns other arrays: ")
    return state


def placed_like(new: Any, old: Any, prefix: str) -> Any:
    """The tree `new`, its arrays copied to the devices (and dtypes) of those of `old`; identical arrays are kept.

    They are copied because the step donates each of the state's buffers, and no buffer can be donated twice. Raises
    UserError, beginning with `prefix`, that names the first array of another name or shape.
    """
    there, here = (
        {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}
        for leaves in map(jax.tree_util.tree_leaves_with_path, (new, old))
    )
    for name in sorted({**there, **here}):
        given, wanted = (jnp.shape(each[name]) if name in each else "absent" for each in (there, here))
        if given != wanted:
            raise UserError(f"{prefix}{name} is {given}, expected {wanted}")
    leaves = [
        leaf if there[name] is leaf else jax.device_put(jnp.array(there[name], leaf.dtype), leaf.sharding)
        for name, leaf in here.items()
    ]
    return jax.tree.unflatten(jax.tree.structure(old), leaves)

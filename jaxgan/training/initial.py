"""The weights that a run begins with, where they are not drawn: those of another run, of a file, of frozen networks."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxgan.config import Section
from jaxgan.errors import UserError
from jaxgan.game import State


def begin_with(state: State, params: Mapping[str, Any], variables: Mapping[str, Any]) -> State:
    """The state with the generator's networks, and their averages, replaced where `params` and `variables` have them.

    Arrays are copied to where the old ones lie: networks and averages share none. Raises UserError, naming the first
    array, for weights of another shape.
    """
    for name, tree in params.items():
        trees = {"params": tree, **variables.get(name, {})}
        for average in ("", "ema_"):
            old = {"params": getattr(state, f"{average}params")[name], **getattr(state, f"{average}variables")[name]}
            new = _placed(trees, old, name)
            values = {"params": new.pop("params"), "variables": new}
            for kind, value in values.items():
                field = f"{average}{kind}"
                state = state.replace(**{field: {**getattr(state, field), name: value}})
    return state


def differing_fields(there: Section, here: Section, network: Any) -> dict[str, tuple[Any, Any]]:
    """The fields in which two sections of one network differ, with the values there and here; none for two networks.

    What a section leaves out is at its default in `network`, which `here` describes. `dtype` is no difference of
    weights.
    """
    if there["name"] != here["name"]:
        return {}
    fields = [field for field in dataclasses.fields(network) if field.name not in ("parent", "name", "dtype")]
    values = {
        field.name: (there.get(field.name, field.default), here.get(field.name, field.default)) for field in fields
    }
    return {name: pair for name, pair in values.items() if pair[0] != pair[1]}


def with_frozen(state: State, weights: Mapping[str, Any]) -> State:
    """The state with the params of networks that nobody trains: of those of `weights` that it has, whole or in part."""
    params = dict(state.params)
    for name in weights.keys() & params.keys():
        wanted = {part: weights[name][part] for part in params[name]}
        params[name] = _placed(wanted, params[name], name)
    return state.replace(params=params)


def _placed(new: Any, old: Any, network: str) -> Any:
    there, here = (
        {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}
        for leaves in map(jax.tree_util.tree_leaves_with_path, (new, old))
    )
    for name in sorted({**there, **here}):
        given, wanted = (each[name].shape if name in each else "absent" for each in (there, here))
        if given != wanted:
            raise UserError(f"config.start_from: {network}/{name} is {given} there, and {wanted} in this run")
    # a copy: the step is given the state's buffers to write on, each once
    placed = [jax.device_put(jnp.array(there[name], leaf.dtype), leaf.sharding) for name, leaf in here.items()]
    return jax.tree.unflatten(jax.tree.structure(old), placed)

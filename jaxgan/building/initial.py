"""Initial weights that are not random: those of another run, of a file, or of frozen networks.

All of them are identified by the names of networks. The caller passes the function that reads files of weights, since
it depends on the networks.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple, Protocol

from jaxgan.building.builder import find
from jaxgan.checkpoints.on_disk import restore_average
from jaxgan.checkpoints.workdir import Workdir
from jaxgan.config.run import RunConfig, Section, from_json
from jaxgan.errors import UserError
from jaxgan.game import Params, State, Task, Variables
from jaxgan.reporting.progress import console
from jaxgan.system.json_files import read_text
from jaxgan.system.paths import located
from jaxgan.system.plain import plain
from jaxgan.training.state import placed_like

KEY = "config.start_from"


class FileWeights(Protocol):
    """One network of a file: the section of a config that it fits, and its arrays."""

    @property
    def section(self) -> Section:
        """E.g. `{"name": "rrdb.Generator", "scale": 4, ...}`: exactly what the file requires."""
        ...

    @property
    def params(self) -> Params:
        """Its params."""
        ...

    @property
    def variables(self) -> Variables:
        """Its statistics."""
        ...


class Weights(NamedTuple):
    """Weights by network, and the sections of the networks that they were trained with."""

    params: Mapping[str, Params]
    variables: Mapping[str, Variables]
    sections: Mapping[str, Section]
    exact: bool  # the sections must equal those of the run, as for a file, whose arrays fit no other


def make_begin(
    config: RunConfig,
    task: Task,
    *,
    read: Callable[[str], FileWeights],
    frozen: Mapping[str, Params],
    allow: tuple[str, ...] = (),
) -> Callable[[State], State]:
    """The function that puts initial weights that are not random into the state of a new run.

    They come from `config.start_from`, which is the directory of a run or an argument for `read`, e.g. a file, and from
    `frozen`, the params of networks that are not trained. Raises UserError if there are no weights, or only those of
    other networks.
    """
    params: Mapping[str, Params] = {}
    variables: Mapping[str, Variables] = {}
    if config.start_from is not None:
        weights = read_weights(config, config.start_from, read=read, allow=allow)
        params, variables = weights.params, weights.variables
        _check_names(config.start_from, params, {*config.networks, *itertools.chain(*task.players.values())})
        _check_sections(config, weights, allow)

    def begin(state: State) -> State:
        own = {name: params[name] for name in state.params if name in params}
        return with_frozen(begin_with(state, own, variables), frozen)

    return begin


def read_weights(
    config: RunConfig, where: str, *, read: Callable[[str], FileWeights], allow: tuple[str, ...] = ()
) -> Weights:
    """The weights in a place that `make_begin` accepts, for the networks of the config.

    Those of a run are its newest average. Those of a file go to every network of its class. Raises UserError if there
    are none.
    """
    place = Workdir(located(where, KEY))
    if place.config.exists():
        average = restore_average(place.checkpoints)
        return Weights(average.params, average.variables, from_json(read_text(place.config)).networks, exact=False)
    found = read(where)
    kind = find(found.section, "network", path=KEY)
    classes = {name: find(each, "network", path=name, allow=allow) for name, each in config.networks.items()}
    names = [name for name, each in classes.items() if issubclass(each, kind)]
    if not names:
        there, here = found.section["name"], ", ".join(each["name"] for each in config.networks.values())
        raise UserError(
            f"{KEY}: got {plain(where)!r} with weights of {there}, but the networks of the config are {here}"
        )
    params, variables, sections = (
        dict.fromkeys(names, each) for each in (found.params, found.variables, found.section)
    )
    return Weights(params, variables, sections, exact=True)


def begin_with(state: State, params: Mapping[str, Params], variables: Mapping[str, Variables]) -> State:
    """The state with networks, and their averages, replaced where `params` and `variables` have them.

    Arrays are copied to the devices of the old ones; networks and averages share none. Raises UserError, naming the
    first array, for weights of another shape.
    """
    for name, tree in params.items():
        trees = {"params": tree, **variables.get(name, {})}
        for average in ("", "ema_"):
            if name not in getattr(state, f"{average}params"):
                continue  # a network without an average
            old = {"params": getattr(state, f"{average}params")[name], **getattr(state, f"{average}variables")[name]}
            new = placed_like(trees, old, f"{KEY}: {name}/")
            values = {"params": new.pop("params"), "variables": new}
            for kind, value in values.items():
                field = f"{average}{kind}"
                state = state.replace(**{field: {**getattr(state, field), name: value}})
    return state


def with_frozen(state: State, weights: Mapping[str, Params]) -> State:
    """The state with the params of networks that are not trained: those of `weights` that it has, whole or in part.

    Raises UserError, naming the first array, for weights of another shape.
    """
    params = dict(state.params)
    for name in weights.keys() & params.keys():
        wanted = {part: weights[name][part] for part in params[name]}
        params[name] = placed_like(wanted, params[name], f"the frozen weights: {name}/")
    return state.replace(params=params)


def differing_fields(there: Section, here: Section, network: type) -> dict[str, tuple[Any, Any]]:
    """The fields in which two sections of one network differ, with both values; empty for different networks.

    A field that a section leaves out has its default in `network`, the class that `here` names. `dtype` is ignored,
    since it does not change weights.
    """
    if there["name"] != here["name"]:
        return {}
    parameters = inspect.signature(network).parameters.items()
    fields = {name: each.default for name, each in parameters if name not in ("parent", "name", "dtype")}
    values = {name: (there.get(name, default), here.get(name, default)) for name, default in fields.items()}
    return {name: pair for name, pair in values.items() if pair[0] != pair[1]}


def _check_names(where: str, params: Mapping[str, Params], names: Collection[str]) -> None:
    """Raises UserError if the weights are of none of the run's networks."""
    if params.keys().isdisjoint(names):
        there, here = (", ".join(sorted(each)) for each in (params, names))
        raise UserError(
            f"{KEY}: got {plain(where)!r} with weights of {plain(there)}, but the run's networks are {here}"
        )


def _check_sections(config: RunConfig, weights: Weights, allow: tuple[str, ...]) -> None:
    """Reports how the networks of the weights differ from the run's. Raises UserError if they must be equal."""
    for network, section in config.networks.items():
        if network not in weights.params or network not in weights.sections:
            continue
        path = f"config.networks.{network}"
        found = find(section, "network", path=path, allow=allow)
        for name, (there, here) in differing_fields(weights.sections[network], section, found).items():
            message = f"{path}.{name}: got {here!r}, but the weights of {config.start_from} were made with {there!r}"
            if weights.exact:
                raise UserError(f"{message}: give --{path}.{name}={there}")
            console.print(plain(message), highlight=False, markup=False, soft_wrap=True)

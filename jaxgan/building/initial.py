"""The weights that a run begins with, where they are not drawn: those of another run, of a file, of frozen networks.

All of them go by the names of networks. What reads files of weights is handed in, since it knows networks.
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
    """One network as a file holds it: the section of a config that it fits, and its arrays."""

    @property
    def section(self) -> Section:
        """Such as `{"name": "rrdb.Generator", "scale": 4, ...}`: just what the file asks for."""
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
    """Weights by network, and the sections of the networks that they were trained in."""

    params: Mapping[str, Params]
    variables: Mapping[str, Variables]
    sections: Mapping[str, Section]
    exact: bool  # whether the sections must be those of the run, as of a file: its arrays mean nothing else


def make_begin(
    config: RunConfig,
    task: Task,
    *,
    read: Callable[[str], FileWeights],
    frozen: Mapping[str, Params],
    allow: tuple[str, ...] = (),
) -> Callable[[State], State]:
    """What puts weights that are not drawn into the state of a new run.

    They are those of `config.start_from`, which is the directory of a run or else something for `read`, such as a file;
    and `frozen`, the params of networks that nobody trains. Raises UserError where there are none, or of other
    networks.
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
    """The weights of a place that `make_begin` accepts, for the networks of the config.

    Those of a run are its newest average. Those of a file are for every network of its class. Raises UserError where
    there are none.
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

    Arrays are copied to where the old ones lie: networks and averages share none. Raises UserError, naming the first
    array, for weights of another shape.
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
    """The state with the params of networks that nobody trains: of those of `weights` that it has, whole or in part.

    Raises UserError, naming the first array, for weights of another shape.
    """
    params = dict(state.params)
    for name in weights.keys() & params.keys():
        wanted = {part: weights[name][part] for part in params[name]}
        params[name] = placed_like(wanted, params[name], f"the frozen weights: {name}/")
    return state.replace(params=params)


def differing_fields(there: Section, here: Section, network: type) -> dict[str, tuple[Any, Any]]:
    """The fields in which two sections of one network differ, with the values there and here; none for two networks.

    What a section leaves out is at its default in `network`, the class that `here` names. `dtype` is no difference of
    weights.
    """
    if there["name"] != here["name"]:
        return {}
    parameters = inspect.signature(network).parameters.items()
    fields = {name: each.default for name, each in parameters if name not in ("parent", "name", "dtype")}
    values = {name: (there.get(name, default), here.get(name, default)) for name, default in fields.items()}
    return {name: pair for name, pair in values.items() if pair[0] != pair[1]}


def _check_names(where: str, params: Mapping[str, Params], names: Collection[str]) -> None:
    """Raises UserError where none of the run's networks has the name of one of the weights."""
    if params.keys().isdisjoint(names):
        there, here = (", ".join(sorted(each)) for each in (params, names))
        raise UserError(
            f"{KEY}: got {plain(where)!r} with weights of {plain(there)}, but the run's networks are {here}"
        )


def _check_sections(config: RunConfig, weights: Weights, allow: tuple[str, ...]) -> None:
    """Says where the networks of the weights differ from the run's. Raises UserError where they must not."""
    for network, section in config.networks.items():
        if network not in weights.params or network not in weights.sections:
            continue
        path = f"config.networks.{network}"
        found = find(section, "network", path=path, allow=allow)
        for name, (there, here) in differing_fields(weights.sections[network], section, found).items():
            told = f"{path}.{name}: got {here!r}, but the weights of {config.start_from} were made with {there!r}"
            if weights.exact:
                raise UserError(f"{told}: give --{path}.{name}={there}")
            console.print(plain(told), highlight=False, markup=False, soft_wrap=True)

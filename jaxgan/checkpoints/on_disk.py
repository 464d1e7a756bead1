"""The contents of a folder of checkpoints: the steps, their records, their arrays.

A checkpoint is a folder named by its step with two orbax items, each a flat dict of arrays by path:
`ema` (the averaged weights, all that sampling needs) and `state` (everything else), and a manifest with
checksums and a JSON record.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeVar

import jax
import numpy as np
import orbax.checkpoint as ocp
from etils import epath

from jaxgan.checkpoints.formats import Flat, as_stored, as_wanted
from jaxgan.checkpoints.manifest import NotUsableError, read_manifest, verify
from jaxgan.errors import ArgumentError, UserError
from jaxgan.game import Params, State, Variables
from jaxgan.system import disks, paths, signals
from jaxgan.system.paths import is_remote
from jaxgan.weights.schema import check_finite

log = logging.getLogger(__name__)

MISTAKEN = frozenset("\\[]*?")  # characters in paths that orbax's libraries misinterpret
STATE, EMA = ITEMS = ("state", "ema")
Record = dict[str, Any]  # the keys of manifest.RECORD and manifest.OPTIONAL, and `data`
Best = Literal["min", "max"]
T = TypeVar("T")
UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, AssertionError, RecursionError, FileNotFoundError)


class Shapes(NamedTuple):
    """The shapes of averaged weights, by network."""

    params: Mapping[str, Any]
    variables: Mapping[str, Any]


class Average(NamedTuple):
    """The averaged weights of a checkpoint, by network, and the record saved with them."""

    params: dict[str, Params]
    variables: dict[str, Variables]
    record: Record


def restore_average(
    directory: str | epath.Path,
    step: int | Literal["latest", "best"] = "latest",
    *,
    best: str = "frechet",
    best_mode: Best = "min",
    like: Sequence[Shapes] = (),
    networks: Sequence[str] = (),
) -> Average:
    """The averaged weights only, on one device: of a step, of the newest checkpoint, or of the best by a metric.

    `networks`: the networks to restore (none: all that have an average); for those without an average the live weights
    are used. `latest` and `best` skip damaged checkpoints, with a warning, and use the newest complete one. If `like`
    is not empty, the shapes must equal one of them, which is checked before any array is read. Raises UserError if
    there is no such checkpoint, or none that can be used.
    """
    quieten()
    directory = absolute(directory)
    steps = steps_on_disk(directory)
    if not steps:
        raise UserError(f"no checkpoint in {directory}: train first, or use the directory of a run")
    candidates = steps[::-1]
    if step == "best":
        first = best_step(read_records(directory), best, best_mode)
        if first is None:
            raise ArgumentError("step", f"got 'best', but no checkpoint in {directory} has a score named {best}")
        candidates = [first, *(other for other in candidates if other != first)]
    elif step != "latest":
        if step not in steps:
            saved = ", ".join(map(str, steps))
            raise ArgumentError("step", f"got {step!r}, expected one of 'latest', 'best', {saved}")
        candidates = [step]
    average, _ = first_usable(directory, candidates, lambda each: _read_average(directory / str(each), like, networks))
    assert average is not None
    signals.check()
    return average


def absolute(directory: str | epath.Path) -> epath.Path:
    """The absolute path, as orbax requires; a remote one is unchanged."""
    return epath.Path(paths.absolute(directory))


@contextlib.contextmanager
def unmistakable(directory: epath.Path) -> Iterator[epath.Path]:
    """A path to the folder that orbax and its libraries cannot misinterpret, valid inside the context.

    They take brackets for a pattern and a backslash for a slash: a checkpoint is then saved elsewhere, or cannot be
    restored. For such a folder, which must exist, the path is a temporary link. Raises UserError if no link without
    these characters can be made.
    """
    if is_remote(directory) or not MISTAKEN.intersection(os.fspath(directory)):
        yield directory
        return
    with tempfile.TemporaryDirectory(prefix="jaxgan-") as folder:
        if MISTAKEN.intersection(folder):
            raise UserError(f"TMPDIR={folder}: expected a folder without {' '.join(sorted(MISTAKEN))} in its path")
        os.symlink(directory, link := os.path.join(folder, "folder"))
        yield epath.Path(link)


def steps_on_disk(directory: epath.Path) -> list[int]:
    """The steps that have a folder, ascending, complete or not."""
    names = [path.name for path in directory.iterdir()] if directory.is_dir() else []
    return sorted(int(name) for name in names if name.isdecimal() and name == str(int(name)))


def read_records(directory: epath.Path) -> dict[int, Record]:
    """The records by step, of the checkpoints with a valid manifest."""
    records = {}
    for step in steps_on_disk(directory):
        try:
            records[step] = read_manifest(directory / str(step))["record"]
        except NotUsableError:  # reported when the checkpoint is restored
            continue
    return records


def best_step(records: Mapping[int, Record], metric: str, mode: str) -> int | None:
    """The step with the best finite value of the first metric whose name starts with `metric`.

    Of equal ones the newest; None if no step has such a metric. Scores from other data than those of the newest step
    are ignored.
    """
    scores: dict[int, float] = {}
    contents = {step: _contents(record) for step, record in records.items()}
    newest = contents[max(records)] if records else None
    for step in sorted(records, reverse=True):
        if None not in (newest, contents[step]) and contents[step] != newest:
            continue
        values = records[step]["metrics"]
        name = next((name for name in sorted(values) if name.startswith(metric)), None)
        if name is not None and math.isfinite(values[name]):
            scores[step] = values[name] if mode == "min" else -values[name]
    return min(scores, key=scores.__getitem__, default=None)


def _contents(record: Record) -> dict[str, Any] | None:
    """The fingerprints of a checkpoint's data; None if unknown."""
    data = record.get("data")
    if not isinstance(data, Mapping):
        return None
    return {name: each.get("contents") for name, each in data.items() if isinstance(each, Mapping)}


def first_usable(
    directory: epath.Path, candidates: Iterable[int], use: Callable[[int], T | None]
) -> tuple[T | None, list[int]]:
    """The result of `use` for the first step that it does not refuse (NotUsableError) or skip (None).

    Also returns the steps refused before it. Raises UserError if steps were refused and none could be used.
    """
    refused: dict[int, NotUsableError] = {}
    for step in candidates:
        try:
            used = use(step)
        except NotUsableError as why:
            log.warning("checkpoint %s is refused: %s", directory / str(step), why)
            refused[step] = why
            continue
        if used is not None:
            if refused:
                log.warning("checkpoint %s is used instead", directory / str(step))
            return used, list(refused)
    if refused:
        first, reason = next(iter(refused.items()))
        raise UserError(f"no checkpoint in {directory} can be used; step {first} is refused: {reason}")
    return None, []


def split_state(state: State) -> dict[str, dict[str, Any]]:
    """The arrays (or shapes) of a state, by item and path."""
    average, rest = _parts(state)
    return {STATE: _flatten(rest), EMA: _flatten(average)}


def items_of(record: Record) -> tuple[str, ...]:
    """The items of a checkpoint; without `ema` if nothing is averaged."""
    return tuple(item for item in ITEMS if record["tree"].get(item))


def shapes(flat: Flat) -> dict[str, list[Any]]:
    """Shape and dtype by path, as JSON."""
    return {name: [list(leaf.shape), str(leaf.dtype)] for name, leaf in flat.items()}


def read_state(folder: epath.Path, manifest: Mapping[str, Any], abstract: State) -> State:
    """The state in a folder, its arrays placed like those of `abstract`.

    Raises NotUsableError if it is damaged or of another model.
    """
    today = split_state(abstract)
    wanted = {**today, STATE: as_stored(today[STATE], manifest["format"])}
    for item in ITEMS:
        _compare(manifest["record"]["tree"].get(item, {}), shapes(wanted[item]))
    items = items_of(manifest["record"])
    verify(folder, manifest, items)
    found = {item: _read(folder / item, wanted[item]) if item in items else {} for item in ITEMS}
    average, rest = _parts(abstract)
    state = _unflatten(as_wanted(found[STATE], today[STATE], manifest["format"]), rest)
    average = _unflatten(found[EMA], average)
    return state.replace(ema_params=average["params"], ema_variables=average["variables"])


def quieten() -> None:
    """Silences orbax, which logs each of its steps through absl, some as warnings. Errors still pass.

    Errors of files are silenced too: every thread logs its own with a traceback, and they are raised here anyway.
    """
    logging.getLogger("absl").addFilter(_not_from_orbax)
    logging.getLogger("asyncio").addFilter(_not_of_files)


def _not_from_orbax(record: logging.LogRecord) -> bool:
    return "/orbax/" not in record.pathname or (record.levelno >= logging.ERROR and _not_of_files(record))


def _not_of_files(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    return error is None or disks.find(error) is None


def _read_average(folder: epath.Path, like: Sequence[Shapes], networks: Sequence[str]) -> Average:
    manifest = read_manifest(folder)
    trees = manifest["record"]["tree"]
    average = trees.get(EMA, {})
    missing = set(networks) - {_network(name) for name in average}
    playing = {name: leaf for name, leaf in trees.get(STATE, {}).items() if _is_weight(name, missing)}
    tree = {**average, **playing}
    expected = [shapes(_flatten(each._asdict())) for each in like]
    own = {name: leaf for name, leaf in tree.items() if not like or _network(name) in like[0].params}
    fitting = next((each for each, wanted in zip(like, expected) if wanted == own), None)
    if expected and fitting is None:
        _compare(own, expected[0])
    _abstract(tree)
    verify(folder, manifest, [item for item, wanted in ((STATE, playing), (EMA, average)) if wanted])
    flat = _read(folder / EMA, _abstract(average)) if average else {}
    if playing:  # orbax can only read a whole item
        state = _read(folder / STATE, _abstract(trees[STATE]))
        flat = {**flat, **{name: state[name] for name in playing}}
    try:
        check_finite(flat.items(), "the averaged weights")
    except UserError as error:
        raise NotUsableError(str(error)) from None
    nested = _nested(flat) if fitting is None else _unflatten(flat, fitting._asdict())  # names may have "/" in them
    # a network without variables has no arrays, and so no entry
    variables = {network: nested["variables"].get(network, {}) for network in nested["params"]}
    return Average(nested["params"], variables, manifest["record"])


def _is_weight(name: str, networks: Collection[str]) -> bool:
    """Whether an array of a state, by its path, belongs to one of these networks."""
    return name.partition("/")[0] in Shapes._fields and _network(name) in networks


def _network(name: str) -> str:
    """The network of an array of the average by its path, such as params/generator/dense/kernel."""
    _, _, below = name.partition("/")
    return below.partition("/")[0]


def _abstract(tree: Mapping[str, list[Any]]) -> Flat:
    """Shapes by path from a manifest. Raises NotUsableError if there are none, or for an unknown dtype."""
    if not tree:
        raise NotUsableError("it has no averaged weights")
    try:
        return {name: jax.ShapeDtypeStruct(shape, np.dtype(dtype)) for name, (shape, dtype) in tree.items()}
    except (TypeError, ValueError) as error:
        raise NotUsableError(f"it has arrays of an unknown dtype: {' '.join(str(error).split())}") from None


def _nested(flat: Flat) -> dict[str, Any]:
    """Nested dicts from arrays by path. Raises NotUsableError for names that are not paths of weights."""
    nested: dict[str, Any] = {"params": {}, "variables": {}}
    for name, leaf in flat.items():
        *parents, last = name.split("/")
        node: Any = nested
        for parent in parents:
            node = node.setdefault(parent, {}) if isinstance(node, dict) else None
        if (
            not isinstance(node, dict)
            or isinstance(node.get(last), dict)
            or parents[:1] not in (["params"], ["variables"])
        ):
            raise NotUsableError(f"{name!r} is not a path of averaged weights")
        node[last] = leaf
    return nested


def _parts(state: State) -> tuple[dict[str, Any], State]:
    average = {"params": state.ema_params, "variables": state.ema_variables}
    return average, state.replace(ema_params={}, ema_variables={})


def _flatten(tree: Any) -> dict[str, Any]:
    """Leaves by path, so that the files depend on names only and not on types of containers."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    flat = {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}
    if len(flat) != len(leaves):
        raise ValueError("two arrays of the state have the same path: no name in it may contain '/'")
    return flat


def _unflatten(flat: Flat, like: Any) -> Any:
    return jax.tree.unflatten(jax.tree.structure(like), [flat[name] for name in _flatten(like)])


def _compare(saved: Mapping[str, list[Any]], wanted: Mapping[str, list[Any]]) -> None:
    """Raise NotUsableError with the first difference of names, shapes or dtypes."""
    for name in [*wanted, *saved]:
        if saved.get(name) != wanted.get(name):
            there, here = (" ".join(map(str, tree.get(name, ["absent"]))) for tree in (saved, wanted))
            raise NotUsableError(f"it is of another model: {name} is {there} in it and {here} in this run")


def _read(folder: epath.Path, wanted: Flat) -> dict[str, jax.Array]:
    one = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    abstract = {
        name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=getattr(leaf, "sharding", None) or one)
        for name, leaf in wanted.items()
    }
    try:
        # an interrupt inside orbax may be lost or turn into another error
        with signals.deferred(), unmistakable(folder) as place, ocp.StandardCheckpointer() as checkpointer:
            return checkpointer.restore(place, abstract)
    except UNREADABLE as error:  # checksums are correct, but orbax cannot use the files
        signals.check()
        reason = " ".join(str(error).split())[:200]
        raise NotUsableError(f"{folder.name} cannot be restored: {type(error).__name__}: {reason}") from None

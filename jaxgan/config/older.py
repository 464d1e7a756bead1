"""Older spellings of a config: the one place that knows them and writes each in the spelling of today.

They come from users' files, from flags and from what runs have saved. What is spelled otherwise since has a row in
`MOVED`; nothing else has to know of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from jaxgan.errors import UserError


class Moved(NamedTuple):
    """A field that was elsewhere: its dotted path then, and now; of which tasks, where not of all.

    One that became several has a function: of its value then, by their paths their values now.
    """

    before: str
    now: str
    tasks: tuple[str, ...] = ()
    spread: Callable[[Any], dict[str, Any]] | None = None


WAYS = tuple(f"networks.{name}.conditioning" for name in ("generator", "discriminator"))


def _condition(conditional: Any) -> dict[str, Any]:
    """Of false, true, or ways such as 'norm+projection': what the task is told, and the networks of the ways."""
    if not isinstance(conditional, str):
        return {"task.condition": "label" if conditional is True else conditional or None}
    ways = conditional.split("+")
    return {"task.condition": "label", **dict(zip(WAYS, ways))} if len(ways) == 2 else {"task.condition": conditional}


WITH_ADVERSARY = ("generation.Generation", "progressive.Progressive", "restoration.Restoration")
OF_ADVERSARIES = (
    *("loss", "penalties", "augment", "class_weight", "pack", "top_k"),
    *("max_accuracy", "label_smoothing", "instance_noise"),
)
MOVED = (  # in the order of the changes
    Moved("generator", "networks.generator"),
    Moved("discriminator", "networks.discriminator"),
    *(Moved(f"task.{name}", f"task.adversary.{name}", WITH_ADVERSARY) for name in OF_ADVERSARIES),
    Moved("conditional", "task.condition", spread=_condition),
)
NEW = ("networks",)  # sections that the oldest spelling has no room for, but for what was moved there


def renewed(tree: Any) -> tuple[Any, list[Moved]]:
    """The nested fields of a config in the spelling of today, and what in them was spelled otherwise.

    A field whose place is taken stays where it is, and is no field of today. What is no tree comes back as it is.
    """
    met: list[Moved] = []
    for row in _rows(_task(tree)) if isinstance(tree, Mapping) else ():
        moved = _moved(tree, row.before, row.now) if row.spread is None else _spread(tree, row.before, row.spread)
        if moved is not None:
            tree = moved
            met.append(row)
    if any(row.tasks for row in met) and "discriminator" not in (_at(tree, ["networks"]) or {}):
        tree = _without(tree, ["task", "adversary"])  # nothing was made of its fields then
    return tree, met


def renewed_keys(changes: Mapping[str, str], tree: Any) -> tuple[dict[str, str], list[Moved]]:
    """Changes of a config by their dotted keys, these in the spelling of today, and what was spelled otherwise.

    `tree`: the nested fields that are changed. Raises UserError for a key that is there in both spellings.
    """
    new: dict[str, str] = {}
    met: list[Moved] = []
    for key, text in changes.items():
        parts = {key: text}
        for row in _rows(changes.get("task.name", _task(tree))):
            if key == row.before and row.spread is not None:
                value = {"true": True, "false": None}.get(text.lower(), text)
                parts = {path: str(part) for path, part in row.spread(value).items()}
                met.append(row)
            elif key == row.before or key.startswith(f"{row.before}."):
                parts = {row.now + key.removeprefix(row.before): text}
                met.append(row)
        if key not in parts and (both := parts.keys() & changes.keys()):
            raise UserError(f"config.{key} is now config.{both.pop()}: got both, expected one")
        new |= parts
    return new, met


def original(tree: Mapping[str, Any]) -> Mapping[str, Any]:
    """The nested fields of today in the oldest spelling; as they are where they say what it cannot."""
    old = _conditional(tree)
    for row in reversed([row for row in _rows(_task(tree)) if row.spread is None]):
        old = _moved(old, row.now, row.before) or old
    return tree if any(name in old for name in NEW) else old


def _task(tree: Any) -> Any:
    """The name of the task; None where none is said."""
    return (_at(tree, ["task"]) or {}).get("name")


def _rows(task: Any) -> list[Moved]:
    """What was elsewhere in the config of a task."""
    return [row for row in MOVED if not row.tasks or task in row.tasks]


def _spread(tree: Mapping[str, Any], name: str, spread: Callable[[Any], dict[str, Any]]) -> dict[str, Any] | None:
    """A copy of the tree with what became of a field of a run in its place; None where there is none."""
    if name not in tree:
        return None
    new = _without(tree, [name])
    for path, value in spread(tree[name]).items():
        if value is not None and _at(tree, path.split(".")[:-1]) is not None:
            new = _put(new, path.split("."), value)
    return new


def _conditional(tree: Mapping[str, Any]) -> Mapping[str, Any]:
    """The tree with `conditional` in the place of a label as the task's condition, and of ways of both networks."""
    condition = (_at(tree, ["task"]) or {}).get("condition", "")
    if condition not in ("label", None):
        return tree
    old: Mapping[str, Any] = _without(tree, ["task", "condition"])
    if condition is None:
        return old
    ways = [(_at(tree, path.split(".")[:-1]) or {}).get("conditioning") for path in WAYS]
    if not all(ways):
        return {**old, "conditional": True}
    for path in WAYS:
        old = _without(old, path.split("."))
    return {**old, "conditional": "+".join(map(str, ways))}


def _moved(tree: Mapping[str, Any], start: str, end: str) -> dict[str, Any] | None:
    """A copy of the tree with what stands at one path at another; None where nothing stands there, or no room is."""
    (*above, name), (*below, last) = start.split("."), end.split(".")
    source, target = _at(tree, above), _at(tree, below)
    if source is None or name not in source or target is None or last in target:
        return None
    return _put(_without(tree, [*above, name]), [*below, last], source[name])


def _at(tree: Any, path: list[str]) -> Mapping[str, Any] | None:
    """The section at a path, empty where there is none yet; None where something else stands there."""
    for name in path:
        tree = tree.get(name, {}) if isinstance(tree, Mapping) else None
    return tree if isinstance(tree, Mapping) else None


def _put(tree: Mapping[str, Any], path: list[str], value: Any) -> dict[str, Any]:
    name, *rest = path
    return {**tree, name: _put(tree.get(name, {}), rest, value) if rest else value}


def _without(tree: Mapping[str, Any], path: list[str]) -> dict[str, Any]:
    """A copy without what stands at a path, nor the sections that are empty then."""
    name, *rest = path
    inner = _without(tree[name], rest) if rest else {}
    return {key: inner if key == name else value for key, value in tree.items() if key != name or inner}

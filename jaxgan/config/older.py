"""Older spellings of a config, and their translation to the current spelling.

They occur in users' files, in flags and in the saved configs of runs. Each renamed field has a row in `MOVED`; no other
module needs to know about it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from jaxgan.errors import UserError


class Moved(NamedTuple):
    """A field that was moved: its old and its new dotted path, and the tasks concerned (empty: all).

    If one field became several, `spread` maps its old value to the new values by path.
    """

    before: str
    now: str
    tasks: tuple[str, ...] = ()
    spread: Callable[[Any], dict[str, Any]] | None = None


WAYS = tuple(f"networks.{name}.conditioning" for name in ("generator", "discriminator"))


def _condition(conditional: Any) -> dict[str, Any]:
    """The fields for an old `conditional`: false, true, or the ways of both networks, such as 'norm+projection'."""
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
NAMES = {"degradations.RealESRGAN": "real_esrgan.RealESRGAN"}  # of sections: the former spelling and the current one
NEW = ("networks",)  # sections that the oldest spelling does not have, except for fields that were moved there


def renewed(tree: Any) -> tuple[Any, list[Moved]]:
    """The nested fields of a config in the current spelling, and the rows of the fields that were renamed.

    A field whose new place is taken is left alone, and later rejected as unknown. A value that is not a mapping is
    returned as it is.
    """
    met: list[Moved] = []
    for row in _rows(_task(tree)) if isinstance(tree, Mapping) else ():
        moved = _moved(tree, row.before, row.now) if row.spread is None else _spread(tree, row.before, row.spread)
        if moved is not None:
            tree = moved
            met.append(row)
    if any(row.tasks for row in met) and "discriminator" not in (_at(tree, ["networks"]) or {}):
        tree = _without(tree, ["task", "adversary"])  # without a discriminator these fields had no effect
    return tree, met


def renewed_keys(changes: Mapping[str, str], tree: Any) -> tuple[dict[str, str], list[Moved]]:
    """Config overrides, by dotted key, in the current spelling, and the rows of those that were renamed.

    `tree`: the nested fields to override. Raises UserError for a key that is given in both spellings.
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
    """The nested fields in the oldest spelling; unchanged if that cannot express them."""
    old = _conditional(tree)
    for row in reversed([row for row in _rows(_task(tree)) if row.spread is None]):
        old = _moved(old, row.now, row.before) or old
    return tree if any(name in old for name in NEW) else old


def _task(tree: object) -> Any:
    """The name of the task, or None."""
    return (_at(tree, ["task"]) or {}).get("name")


def _rows(task: object) -> list[Moved]:
    """The rows that apply to a task."""
    return [row for row in MOVED if not row.tasks or task in row.tasks]


def _spread(tree: Mapping[str, Any], name: str, spread: Callable[[Any], dict[str, Any]]) -> dict[str, Any] | None:
    """A copy of the tree with a field replaced by those that it became; None if the field is absent."""
    if name not in tree:
        return None
    new = _without(tree, [name])
    for path, value in spread(tree[name]).items():
        if value is not None and _at(tree, path.split(".")[:-1]) is not None:
            new = _put(new, path.split("."), value)
    return new


def _conditional(tree: Mapping[str, Any]) -> Mapping[str, Any]:
    """The tree with `conditional` instead of a label condition of the task and the `conditioning` of both networks."""
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
    """A copy of the tree with a value moved from one path to another; None if it is absent or the target is taken."""
    (*above, name), (*below, last) = start.split("."), end.split(".")
    source, target = _at(tree, above), _at(tree, below)
    if source is None or name not in source or target is None or last in target:
        return None
    return _put(_without(tree, [*above, name]), [*below, last], source[name])


def _at(tree: Any, path: list[str]) -> Mapping[str, Any] | None:
    """The section at a path, empty if absent; None if the value there is not a section."""
    for name in path:
        tree = tree.get(name, {}) if isinstance(tree, Mapping) else None
    return tree if isinstance(tree, Mapping) else None


def _put(tree: Mapping[str, Any], path: list[str], value: Any) -> dict[str, Any]:
    name, *rest = path
    return {**tree, name: _put(tree.get(name, {}), rest, value) if rest else value}


def _without(tree: Mapping[str, Any], path: list[str]) -> dict[str, Any]:
    """A copy without the value at a path, and without sections that become empty."""
    name, *rest = path
    inner = _without(tree[name], rest) if rest else {}
    return {key: inner if key == name else value for key, value in tree.items() if key != name or inner}

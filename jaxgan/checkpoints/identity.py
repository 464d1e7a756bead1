"""The data that a run was trained on, recorded in its checkpoints: changes are reported, other classes refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from etils import epath

from jaxgan.checkpoints import on_disk
from jaxgan.checkpoints.manifest import NotUsableError, read_manifest
from jaxgan.config.run import path_of
from jaxgan.data.sources import Source, describe
from jaxgan.errors import UserError
from jaxgan.system.plain import plain

TRAINED, HELD_OUT, MORE = "trained on", "held out", "more"
NAMED_AT_MOST = 3  # classes


def describe_data(source: Source, held_out: Source | None, more: Mapping[str, Source] | None = None) -> dict[str, Any]:
    """The record of a run's data, as JSON: by use, the result of `sources.describe`.

    `more`: the training data of further sources, by name.
    """
    data = {TRAINED: describe(source)}
    if held_out is not None:
        data[HELD_OUT] = describe(held_out)
    return {**data, MORE: {name: describe(each) for name, each in more.items()}} if more else data


def earlier_data(checkpoints: str | epath.Path) -> dict[str, Any]:
    """`class_names` and `data` of the newest checkpoint with a valid manifest; empty if there is none.

    Checkpoints of older versions have no `data`.
    """
    directory = on_disk.absolute(checkpoints)
    for step in reversed(on_disk.steps_on_disk(directory)):
        try:
            record = read_manifest(directory / str(step))["record"]
        except NotUsableError:  # reported when the checkpoint is restored
            continue
        return {name: record[name] for name in ("class_names", "data") if name in record}
    return {}


def compare_data(earlier: Mapping[str, Any], data: Mapping[str, Any], whose: str) -> str:
    """One line on the changes in the data since `earlier` (from `earlier_data`); empty if no change is known.

    Raises UserError if the classes differ: the network has learnt them by number. `whose`: the run, for the message.
    """
    _check_classes(earlier.get("class_names"), data[TRAINED]["classes"], "the data", whose)
    before = earlier.get("data")
    if not isinstance(before, Mapping):
        return ""
    lines = [_changes(before.get(name), data[name]) for name in (TRAINED, HELD_OUT) if name in data]
    earlier_ones = before.get(MORE)
    for name, now in data.get(MORE, {}).items():
        then = earlier_ones.get(name) if isinstance(earlier_ones, Mapping) else None
        if isinstance(then, Mapping):
            _check_classes(then.get("classes"), now["classes"], path_of(name), whose)
        changes = _changes(then, now)
        lines.append(f"{path_of(name)}: {changes}" if changes else "")
    changed = "; ".join(line for line in lines if line)
    message = "the data were changed since the last checkpoint, and the run goes on with them as they are"
    return f"{message}: {changed}" if changed else ""


def _check_classes(then: Any, now: Sequence[str], what: str, whose: str) -> None:
    if isinstance(then, list) and then != now:
        raise UserError(
            f"{what} have other classes than those that {whose} was trained on: {_differing(then, now)}; "
            "give the same data, or another --workdir"
        )


def _differing(then: Sequence[Any], now: Sequence[str]) -> str:
    gone, new = [each for each in then if each not in now], [each for each in now if each not in then]
    parts = [f"{what} {_named(names)}" for what, names in (("gone:", gone), ("new:", new)) if names]
    if not now:
        return f"then {len(then)} ({_named(then)}), now none"
    return "; ".join(parts) or "the same, in another order"


def _named(names: Sequence[Any]) -> str:
    more = f" and {len(names) - NAMED_AT_MOST} more" if len(names) > NAMED_AT_MOST else ""
    return ", ".join(repr(plain(name)) for name in names[:NAMED_AT_MOST]) + more


def _changes(then: Any, now: Mapping[str, Any]) -> str:
    """The changes in one source, if both contents are known and different; else empty."""
    if (
        not isinstance(then, Mapping)
        or not then.get("contents")
        or not now["contents"]
        or then["contents"] == now["contents"]
    ):
        return ""
    split, before, after = plain(now["split"]), then.get("examples"), now["examples"]
    if before == after:
        parts = [name for name in now["contents"] if then["contents"].get(name) != now["contents"][name]]
        return f"{split} has {after:,} examples as before, but {' and '.join(parts)} of other names or contents"
    counts = {
        name: (old, new)
        for name, old, new in zip(now["classes"], then.get("counts", ()), now.get("counts", ()))
        if old != new
    }
    named = [f"{plain(name)} {old} then, {new} now" for name, (old, new) in counts.items()]
    classes = ", ".join(named[:NAMED_AT_MOST])
    more = f" and {len(named) - NAMED_AT_MOST} more classes" if len(named) > NAMED_AT_MOST else ""
    return f"{split} had {before:,} examples and has {after:,}" + (f" ({classes}{more})" if classes else "")

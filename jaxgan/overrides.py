"""A config from a file and the command line: read, changed, checked."""

from __future__ import annotations

import ast
import dataclasses
import runpy
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxgan.config import SECTIONS, RunConfig, Section, from_tree, plain, to_tree
from jaxgan.errors import UserError
from jaxgan.paths import expanded


def load_config(path: str, overrides: Mapping[str, str] | None = None) -> RunConfig:
    """The config of a file, `configs/x.py` or `configs/x.py:argument`, with changes from the command line.

    The file is Python and is executed: it defines `get_config(argument=None)` and returns a ConfigDict.
    Raises UserError for a file that cannot be used and for every mistake in the fields.
    """
    return resolve(_run_file(path), overrides or {})


def resolve(tree: Mapping[str, Any], overrides: Mapping[str, str]) -> RunConfig:
    """The checked config of nested fields, changed by `{"data.name": "cifar10", ...}` as text.

    Another `name` for a section drops the keys of the old one, but for those changed beside it. `tiny`
    cuts the file's fields; what `overrides` ask for stays. Raises UserError with the key, what it got,
    what is accepted, and the nearest right spelling.
    """
    config = _changed(tree, overrides)
    return _changed(to_tree(shrink(config)), overrides) if config.tiny else config


def shrink(config: RunConfig) -> RunConfig:
    """The same run in miniature, to see whether it works: 16 pixels, few channels, 64 images."""
    sections: dict[str, Any] = {name: _narrow(getattr(config, name)) for name in SECTIONS}
    return dataclasses.replace(
        config,
        **sections,
        batch_size=8 * config.microbatches,
        epochs=None,
        images=64 * config.microbatches,
        data=dataclasses.replace(config.data, resolution=16),
        evaluation=dataclasses.replace(config.evaluation, samples=64, batch_size=32, every_images=None),
        samples=dataclasses.replace(config.samples, rows=4, columns=4, every_images=None),
        checkpoint=dataclasses.replace(config.checkpoint, every_images=None),
        log_every=2,
    )


def _run_file(path: str) -> Mapping[str, Any]:
    name, _, argument = expanded(path, "--config").partition(":")
    if not Path(name).is_file():
        raise UserError(f"--config={path}: there is no such file")
    try:
        get_config = runpy.run_path(name).get("get_config")
        if get_config is None:
            raise UserError(f"--config={path}: the file has no function get_config")
        config = get_config(argument) if argument else get_config()
        tree = config.to_dict() if hasattr(config, "to_dict") else config
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # whatever the file does wrong
        raise UserError(
            f"--config={path}: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        ) from None
    if not isinstance(tree, Mapping):
        raise UserError(f"--config={path}: get_config gave a {type(config).__name__}, accepted is a ConfigDict")
    return tree


def _changed(tree: Mapping[str, Any], overrides: Mapping[str, str]) -> RunConfig:
    changed = plain(tree)
    for key, text in overrides.items():
        _override(changed, key, text, overrides)
    return from_tree(changed)


def _override(tree: dict[str, Any], key: str, text: str, overrides: Mapping[str, str]) -> None:
    """Writes one change into the tree; a section that gets another `name` loses the keys of the old one."""
    *parents, last = key.split(".")
    node: Any = tree
    for depth, parent in enumerate(parents):
        node = _child(node, parent, ".".join(["config", *parents[:depth]]))
    if isinstance(node, list):
        raise UserError(f"config.{key}: got a number where a key is wanted")
    in_section = bool(parents) and parents[0] in (*SECTIONS, "optimizers")
    if last == "name" and in_section and node.get("name") != text:
        prefix = ".".join(parents)
        kept = {
            name
            for other in overrides
            if other.startswith(f"{prefix}.")
            for name in [other[len(prefix) + 1 :].split(".")[0]]
        }
        for old in [old for old in node if old not in kept]:
            del node[old]
    if key in ("epochs", "images"):  # a length replaces the file's, whichever of the two that has
        tree.pop("images" if key == "epochs" and "images" not in overrides else "", None)
        tree.pop("epochs" if key == "images" and "epochs" not in overrides else "", None)
    node[last] = text if _is_text_field(key) and text != "None" else _parsed(text)


def _child(node: Any, name: str, path: str) -> Any:
    """The section below a key, made writable; an element of a tuple goes by its number."""
    if isinstance(node, dict):
        below = node.setdefault(name, {})
        if isinstance(below, tuple):
            below = node[name] = _Items(below)
        if isinstance(below, dict | _Items):
            return below
    elif isinstance(node, _Items) and name.isdecimal() and isinstance(dict(enumerate(node)).get(int(name)), dict):
        return node[int(name)]
    raise UserError(f"{path}.{name}: it has no keys below it")


class _Items(list):
    """A tuple of sections while it is being changed."""


def _parsed(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    try:
        return plain(ast.literal_eval(text))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):  # all that literal_eval can raise
        return text


def _is_text_field(key: str) -> bool:
    kind: Any = RunConfig
    for part in key.split("."):
        hints = typing.get_type_hints(kind) if dataclasses.is_dataclass(kind) else {}
        kind = hints.get(part)
    return kind is str or kind == (str | None)


NARROW = {  # the most of each that a run in miniature has
    "base_width": 8,
    "max_width": 8,
    "style_dim": 16,
    "mapping_layers": 2,
    "scales": 2,
    "blocks": 2,
    "halvings": 2,
    "adversarial_start": 32,
    "stage_images": 24,
    "fade_images": 8,
    "standing_passes": 2,
}


def _narrow(section: Section) -> dict[str, Any]:
    """A section of few channels a layer, without widths that belong to another resolution; so are those in it."""
    narrow: dict[str, Any] = {}
    for key, value in section.items():
        if key == "widths" and value is not None:
            module = str(section.get("name", "")).partition(".")[0]
            narrow.update({"widths": (8,) * len(value)} if module == "mlp" else {"base_width": NARROW["base_width"]})
        elif isinstance(value, Mapping) and "name" in value:
            narrow[key] = _narrow(value)
        elif key != "resolution":
            narrow[key] = min(value, NARROW[key]) if key in NARROW and isinstance(value, int) else value
    return narrow

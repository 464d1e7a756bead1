"""Reads a config from a file, applies the overrides of the command line, and checks it."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import difflib
import logging
import os
import re
import sys
import traceback
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jaxgan.config.older import Moved, renewed, renewed_keys
from jaxgan.config.run import DataConfig, RunConfig, Section, from_tree, plain, to_tree, without
from jaxgan.errors import UserError
from jaxgan.system.paths import expanded

log = logging.getLogger(__name__)

SHELF = "jaxgan:"  # before the name of a config that comes with the package
DATA_NAME = re.compile(r"(data|more_data\.[^.]+)\.(source\.)?name")


def load_config(path: str, overrides: Mapping[str, str] | None = None) -> RunConfig:
    """The config of a file, `configs/x.py` or `configs/x.py:argument`, with overrides from the command line.

    `jaxgan:x` and `jaxgan:x:argument` name the configs that come with the package.

    The file is executed as Python. It must define `get_config(argument=None)`, which returns a ConfigDict.
    Raises UserError for an unusable file and for mistakes in the fields.
    """
    return resolve(_run_file(path), overrides or {})


def resolve(tree: Mapping[str, Any], overrides: Mapping[str, str], *, saved: bool = False) -> RunConfig:
    """The checked config of nested fields, with overrides such as `{"data.name": "cifar10", ...}` as text.

    A new `name` for a section drops its old keys, except those that are overridden too. `tiny` shrinks the file's
    fields, but not the overrides; a config `saved` by a run is not shrunk again. Each older spelling is logged once
    with the current one. Raises UserError with the key, what it got, what is expected, and the nearest known spelling.
    """
    tree, in_tree = renewed(tree)
    overrides, in_overrides = renewed_keys(overrides, tree)
    changed, in_changed = _changed(tree, overrides)
    for row in dict.fromkeys((*in_tree, *in_overrides, *in_changed)):
        log.warning("config.%s is now config.%s: the older spelling is still read", row.before, row.now)
    config = from_tree(changed)
    if not config.tiny or (saved and tree.get("tiny")):
        return config
    return from_tree(_changed(to_tree(shrink(config)), overrides)[0])


def shrink(config: RunConfig) -> RunConfig:
    """A tiny version of the run, to check that it works: 16 pixels, few channels, 64 images."""
    return dataclasses.replace(
        config,
        networks={name: _narrow(section) for name, section in config.networks.items()},
        task=_narrow(config.task),
        batch_size=8 * config.microbatches,
        epochs=None,
        images=64 * config.microbatches,
        data=dataclasses.replace(config.data, resolution=16),
        more_data={name: dataclasses.replace(data, resolution=16) for name, data in config.more_data.items()},
        evaluation=dataclasses.replace(config.evaluation, samples=64, batch_size=32, every_images=None),
        evaluators={name: without(section, LENGTHS) for name, section in config.evaluators.items()},
        samples=dataclasses.replace(config.samples, rows=4, columns=4, every_images=None),
        checkpoint=dataclasses.replace(config.checkpoint, every_images=None),
        log_every=2,
    )


def _run_file(path: str) -> Mapping[str, Any]:
    text = expanded(path, "--config")
    name, argument = _on_shelf(text) if text.startswith(SHELF) else text.partition(":")[::2]
    if os.path.isdir(name):
        raise UserError(f"--config={path}: it is a folder, expected a Python file such as configs/quickstart.py")
    if not os.path.isfile(name):
        raise UserError(f"--config={path}: there is no such file")
    module = types.ModuleType("__config__")
    module.__file__ = os.path.abspath(name)
    with _modules_beside(module):
        try:
            # dont_inherit: without the future statements of this module
            exec(compile(Path(name).read_bytes(), module.__file__, "exec", dont_inherit=True), module.__dict__)
            get_config = getattr(module, "get_config", None)
            if not callable(get_config):
                raise UserError(f"--config={path}: the file has no function get_config")
            config = get_config(argument) if argument else get_config()
            tree = config.to_dict() if hasattr(config, "to_dict") else config
        except UserError:
            raise
        except (Exception, SystemExit) as error:  # any error in the file
            raise UserError(f"--config={path}: {_described(error, Path(module.__file__).parent)}") from None
    if not isinstance(tree, Mapping):
        raise UserError(f"--config={path}: get_config returned a {type(config).__name__}, expected a ConfigDict")
    return tree


def shelf() -> Path:
    """The folder of the configs that come with the package: `jaxgan/shelf` of a wheel, `configs` of a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "shelf"
    return installed if installed.is_dir() else package.parent / "configs"


def _on_shelf(text: str) -> tuple[str, str]:
    """The file and the argument of `jaxgan:name` or `jaxgan:name:argument`."""
    name, _, argument = text.removeprefix(SHELF).partition(":")
    files = {file.stem: str(file) for file in sorted(shelf().glob("*.py"))}
    if name in files:
        return files[name], argument
    near = difflib.get_close_matches(name, files, 1)
    hint = f"did you mean {SHELF}{near[0]}?" if near else f"expected one of {', '.join(files)}"
    raise UserError(f"--config={text}: no config of this name comes with jaxgan; {hint}")


@contextlib.contextmanager
def _modules_beside(module: types.ModuleType) -> Iterator[None]:
    """Lets a config import modules from its folder while it runs; they are unloaded afterwards."""
    path = Path(str(module.__file__))
    folders = [
        str(folder) for folder in dict.fromkeys((path.resolve().parent, path.parent))
    ]  # both, if the config is a symlink
    known = {name.partition(".")[0] for name in sys.modules}
    sys.path[:0] = folders
    sys.modules[module.__name__] = module  # dataclasses look up their module
    try:
        yield
    finally:
        del sys.modules[module.__name__]
        for folder in folders:
            sys.path_importer_cache.pop(folder, None)
            with contextlib.suppress(ValueError):
                sys.path.remove(folder)
        found = {name.partition(".")[0] for name in sys.modules} - known
        beside = {top for top in found if any(_is_in(sys.modules.get(top), folder) for folder in folders)}
        for name in [each for each in sys.modules if each.partition(".")[0] in beside]:
            del sys.modules[name]


def _is_in(module: types.ModuleType | None, folder: str) -> bool:
    """Whether a module is a file or package directly in a folder."""
    places = [getattr(module, "__file__", None) or "", *getattr(module, "__path__", ())]
    return any(os.path.dirname(place.removesuffix("/__init__.py")) == folder for place in places)


def _described(error: BaseException, folder: Path) -> str:
    """An error of a config in one line, with the innermost line of a file in its folder that led to it."""
    words = (error.msg if isinstance(error, SyntaxError) else str(error)).splitlines()
    message = f"{type(error).__name__}: {words[0] if words else ''}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [(frame.filename, frame.lineno) for frame in frames if Path(frame.filename).is_relative_to(folder)]
    if isinstance(error, SyntaxError) and error.filename:
        lines.append((error.filename, error.lineno))
    if not lines:
        return message
    file, line = lines[-1]
    return f"{os.path.basename(file)}, line {line}: {message}"


def _changed(tree: Mapping[str, Any], overrides: Mapping[str, str]) -> tuple[Any, list[Moved]]:
    """The fields after the overrides, and their renamed rows: an override may hold a section in an older spelling."""
    changed = plain(tree)
    for key, text in overrides.items():
        _override(changed, key, text, overrides)
    return renewed(changed)


def _override(tree: dict[str, Any], key: str, text: str, overrides: Mapping[str, str]) -> None:
    """Writes one override into the tree; a section with a new `name` loses its old keys."""
    *parents, last = key.split(".")
    node: Any = tree
    for depth, parent in enumerate(parents):
        node = _child(node, parent, ".".join(["config", *parents[:depth]]))
    if isinstance(node, list):
        raise UserError(f"config.{key}: got a number, expected a key")
    in_section = parents[:1] == ["task"] or parents[-1:] == ["source"]
    in_section |= len(parents) > 1 and parents[0] in BY_NAME
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
    instead = _instead(key)
    if instead and not any(f"{other}.".startswith(f"{instead}.") for other in overrides):
        holder = tree
        for each in instead.split(".")[:-1]:
            holder = holder[each]
        holder.pop(instead.rpartition(".")[2], None)
    node[last] = text if _is_text_field(key) and text != "None" else _parsed(text)


def _instead(key: str) -> str:
    """The field that an overridden one replaces: the other kind of run length, the source of named data, or none."""
    if key in ("epochs", "images"):
        return "images" if key == "epochs" else "epochs"
    data = DATA_NAME.fullmatch(key)
    return "" if data is None else f"{data[1]}.{'name' if data[2] else 'source'}"


def _child(node: Any, name: str, path: str) -> Any:
    """The section below a key, made writable; elements of a tuple are addressed by index."""
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
    """A tuple of sections while it is changed."""


def _parsed(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    try:
        return plain(ast.literal_eval(text))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):  # all exceptions of literal_eval
        return text


def _is_text_field(key: str) -> bool:
    kind: Any = RunConfig
    for part in key.split("."):
        if kind == Mapping[str, DataConfig]:
            kind = DataConfig
            continue
        hints = typing.get_type_hints(kind) if dataclasses.is_dataclass(kind) else {}
        kind = hints.get(part)
    return kind is str or kind == (str | None)


BY_NAME = ("networks", "optimizers", "evaluators")  # sections by name
LENGTHS = ("samples", "batch_size", "every_images")  # of evaluators; replaced by those of the tiny run
NARROW = {  # the maximum of each in a tiny run
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
    "pixels": 8,
    "dim": 8,
    "frequencies": 4,
}


def _narrow(section: Section) -> dict[str, Any]:
    """A section, and those within it, with few channels per layer and without widths for another resolution."""
    narrow: dict[str, Any] = {}
    for key, value in section.items():
        if key == "widths" and value is not None:
            module = str(section.get("name", "")).partition(".")[0]
            narrow.update({"widths": (8,) * len(value)} if module == "mlp" else {"base_width": NARROW["base_width"]})
        elif isinstance(value, Mapping):
            narrow[key] = _narrow(value)
        elif key != "resolution":
            narrow[key] = min(value, NARROW[key]) if key in NARROW and isinstance(value, int) else value
    return narrow

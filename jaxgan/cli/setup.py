"""Set-up shared by commands: the settings of jax, and the saved config of a workdir."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import re
from typing import Any

import jax

from jaxgan.checkpoints.workdir import Workdir
from jaxgan.config.run import DataConfig, RunConfig, from_json, to_json, to_tree
from jaxgan.errors import UserError
from jaxgan.parallel.compiler import keep_freed_memory
from jaxgan.reporting.progress import console
from jaxgan.system.json_files import read_text
from jaxgan.system.paths import cache_dir, is_remote, located, places_of
from jaxgan.system.plain import plain
from jaxgan.system.whole_files import replace_file

log = logging.getLogger(__name__)

# fields that may change when a run is resumed: they do not affect what is learnt
MAY_CHANGE = (
    "images",
    "epochs",
    "data.data_dir",
    "data.cache",
    "data.cache_bytes",
    "parallel",
    "checkpoint",
    "evaluation",
    "evaluators",
    "samples",
    "watch",
    "log_every",
    "plots",
    "tensorboard",
    "compilation_cache",
    "remat",
)


SOURCE = re.compile(r"^more_data\.[^.]+\.")  # for further data, the same fields may change as for `data`


def start_jax(config: RunConfig) -> None:
    """Configures jax and the memory allocator; call it before the first array is created."""
    keep_freed_memory()
    if config.compilation_cache and not jax.config.values["jax_compilation_cache_dir"]:
        jax.config.update("jax_compilation_cache_dir", str(cache_dir() / "xla"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def spelled_as_begun(place: Workdir, config: RunConfig) -> RunConfig:
    """The config with paths spelled as in the saved config, if both name the same file or folder.

    So `cls`, `./cls` and the absolute path are the same data. The config of a new run is unchanged.
    """
    if not place.config.exists():
        return config
    begun = from_json(read_text(place.config))
    data = _spelled(begun.data, config.data)
    more = {name: _spelled(begun.more_data.get(name, each), each) for name, each in config.more_data.items()}
    start = begun.start_from if _one_place(begun.start_from, config.start_from) else config.start_from
    return dataclasses.replace(config, data=data, more_data=more, start_from=start)


def _spelled(begun: DataConfig, given: DataConfig) -> DataConfig:
    ours, theirs = ({name: getattr(data, name) for name in ("name", "condition")} for data in (given, begun))
    return dataclasses.replace(given, **{name: theirs[name] for name in ours if _one_place(theirs[name], ours[name])})


def _one_place(one: str | None, other: str | None) -> bool:
    if one is None or other is None or is_remote(one) or is_remote(other):
        return False
    with contextlib.suppress(OSError):
        return os.path.samefile(located(one), located(other))
    return False


def check_config(place: Workdir, config: RunConfig) -> list[str]:
    """The permitted differences from the saved config of the run, one line each; empty for a new run.

    Raises UserError for the first field that differs but must not.
    """
    if not place.config.exists():
        return []
    saved, given = (_flat(to_tree(c)) for c in (from_json(read_text(place.config)), config))
    differing = [key for key in sorted(saved.keys() | given.keys()) if saved.get(key) != given.get(key)]
    for key in differing:
        field = SOURCE.sub("data.", key)
        if not any(field == free or field.startswith(free + ".") for free in MAY_CHANGE):
            raise UserError(
                f"config.{key}: got {given.get(key, 'nothing')!r}, but the run in {place.root} has "
                f"{saved.get(key, 'nothing')!r}; give the same or another --workdir"
            )
    return [
        f"config.{key} is now {given.get(key, 'nothing')!r}; it was {saved.get(key, 'nothing')!r}" for key in differing
    ]


def keep_config(place: Workdir, config: RunConfig) -> None:
    """Saves the resolved config, and reports what differs from an existing run. Raises UserError as `check_config`."""
    for change in check_config(place, config):
        log.info(change)
        console.print(plain(change), highlight=False, markup=False, soft_wrap=True)
    replace_file(place.config, _with_places(config).encode())


def _with_places(config: RunConfig) -> str:
    """The config as it is saved, with the absolute locations of its relative paths, for starts in other folders."""
    text, places = to_json(config), places_of(to_tree(config))
    return json.dumps({**json.loads(text), "places": places}, indent=2, allow_nan=False) + "\n" if places else text


def _flat(tree: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(tree, dict):
        return {prefix: tree}
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{prefix}.{key}" if prefix else key)
    return flat

"""From a config to the task and its networks: all that a trained model needs to be used."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from jaxgan.builder import accepts, build, check_regularizer
from jaxgan.config import RunConfig
from jaxgan.data.sources import DataSpec
from jaxgan.errors import UserError
from jaxgan.game import Task
from jaxgan.tasks.generation import Penalty

NETWORKS = ("generator", "discriminator")


def fill_in(config: RunConfig, spec: DataSpec) -> RunConfig:
    """The config with what the data set decides written into its sections, where they leave it out.

    That is `resolution`, `channels` and `num_classes`. Raises UserError where a section says otherwise
    than the data set, and for labels wanted of a data set without them.
    """
    if config.conditional and not spec.num_classes:
        raise UserError(f"config.conditional: got True, but {spec.name} has no labels")
    decided = {
        "resolution": spec.height,
        "channels": spec.channels,
        "num_classes": spec.num_classes if config.conditional else 0,
    }
    sections: dict[str, Any] = {}
    for name, kind in (*((network, "network") for network in NETWORKS), ("task", "task")):
        section = dict(getattr(config, name))
        for key, value in decided.items():
            if not accepts(section, kind, key, path=f"config.{name}"):
                continue
            if section.setdefault(key, value) != value:
                raise UserError(f"config.{name}.{key}: got {section[key]!r}, but {spec.name} has {value!r}")
        sections[name] = section
    return dataclasses.replace(config, **sections)


def make_task(config: RunConfig, allow: tuple[str, ...] = ()) -> Task:
    """The task of a filled-in config. `allow` names further packages that sections may point into."""
    parts: dict[str, Any] = {
        name: build(getattr(config, name), "network", path=f"config.{name}", allow=allow) for name in NETWORKS
    }
    section = dict(config.task)
    if "loss" in section:
        parts["loss"] = build({"name": section.pop("loss")}, "loss", path="config.task.loss", allow=allow)
    if "penalties" in section:
        penalties = enumerate(section.pop("penalties"))
        parts["penalties"] = tuple(_make_penalty(p, f"config.task.penalties.{i}", allow) for i, p in penalties)
    return build(section, "task", path="config.task", fill=parts, allow=allow)


def _make_penalty(section: Mapping[str, Any], path: str, allow: tuple[str, ...]) -> Penalty:
    check_regularizer(section, path, allow)
    arguments = {key: value for key, value in section.items() if key not in ("name", "every")}
    function = build(section, "regularizer", path=path, allow=allow)
    return Penalty(section["name"].rpartition(".")[2], function, arguments, every=section.get("every", 1))

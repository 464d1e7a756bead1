"""From a config to the task and its networks: all that a trained model needs to be used."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxgan.builder import PENALTIES, accepts, build, check_content, check_regularizer, find, is_section
from jaxgan.config import RunConfig, Section, unknown_key
from jaxgan.data.sources import DataSpec
from jaxgan.errors import UserError
from jaxgan.game import DISCRIMINATOR, GENERATOR, Degradation, Task
from jaxgan.losses.perceptual import REAL_ESRGAN
from jaxgan.models.pretrained.vgg import Backbone, load_backbone, lpips_heads
from jaxgan.regularizers.gradient_penalty import auto_gamma
from jaxgan.tasks.penalty import Penalty
from jaxgan.tasks.restoration import BACKBONE, Content

log = logging.getLogger(__name__)

SIZE = 192  # pixels of an image where any will do: most scales divide it


def fill_in(config: RunConfig, spec: DataSpec) -> RunConfig:
    """The config with what the data set decides written into its sections, where they leave it out.

    That is `resolution`, `channels` and `num_classes`. Raises UserError where a section says otherwise
    than the data set, and for labels wanted of a data set without them.
    """
    if config.conditional and not spec.num_classes:
        raise UserError(f"config.conditional: got {config.conditional!r}, but {spec.name} has no labels")
    shape = {
        "resolution": spec.height,
        "channels": spec.channels,
        "num_classes": spec.num_classes if config.conditional else 0,
    }
    ways = config.conditional.split("+") if isinstance(config.conditional, str) else ()
    networks = {
        name: _filled(section, "network", shape, spec.name, f"config.networks.{name}")
        for name, section in config.networks.items()
    }
    for name, way in zip((GENERATOR, DISCRIMINATOR), ways):
        if name in networks:
            networks[name] = _conditioned(networks[name], way, f"config.networks.{name}")
    task = _filled(config.task, "task", shape, spec.name, "config.task")
    for name in PENALTIES:
        if name in config.task:
            task[name] = tuple(
                {**penalty, "gamma": auto_gamma(spec.height, config.batch_size)}
                if penalty.get("gamma") == "auto"
                else penalty
                for penalty in config.task[name]
            )
    return dataclasses.replace(config, networks=networks, task=task)


def _filled(section: Section, kind: str, shape: Mapping[str, int], data: str, path: str) -> dict[str, Any]:
    filled = {
        key: _filled(value, kind, shape, data, f"{path}.{key}") if kind == "network" and is_section(value) else value
        for key, value in section.items()
    }
    for key, value in shape.items():
        if not accepts(section, kind, key, path=path):
            continue
        if filled.setdefault(key, value) != value:
            raise UserError(f"{path}.{key}: got {filled[key]!r}, but {data} has {value!r}")
    return filled


def _conditioned(section: dict[str, Any], way: str, path: str) -> dict[str, Any]:
    """The section, and those in it, with this way of conditioning."""
    inner = {key: _conditioned(value, way, f"{path}.{key}") for key, value in section.items() if is_section(value)}
    if accepts(section, "network", "conditioning", path=path):
        return {**section, **inner, "conditioning": way}
    if not inner:
        raise UserError(f"config.conditional: {section['name']} knows no other way than its own; accepted is true")
    return {**section, **inner}


def make_task(config: RunConfig, allow: tuple[str, ...] = ()) -> Task:
    """The task of a filled-in config. `allow` names further packages that sections may point into."""
    parts: dict[str, Any] = {
        name: build(section, "network", path=f"config.networks.{name}", allow=allow)
        for name, section in config.networks.items()
    }
    section = dict(config.task)
    if "loss" in section:
        parts["loss"] = build({"name": section.pop("loss")}, "loss", path="config.task.loss", allow=allow)
    for name in (each for each in PENALTIES if each in section):
        penalties = enumerate(section.pop(name))
        parts[name] = tuple(_make_penalty(p, f"config.task.{name}.{i}", allow) for i, p in penalties)
        for penalty in parts[name]:
            if penalty.wants("synthesize") and not hasattr(parts[GENERATOR], "synthesize"):
                raise UserError(f"config.task.{name}: {penalty.name} needs a generator with styles")
    for kind in ("augment", "degradation"):
        if section.get(kind) is not None:
            parts[kind] = build(section.pop(kind), kind, path=f"config.task.{kind}", allow=allow)
    if "content" in section:
        contents = [(f"config.task.content.{i}", each) for i, each in enumerate(section.pop("content"))]
        backbone = section.pop(BACKBONE, None) or {}
        parts["content"], parts[BACKBONE] = _make_contents(contents, backbone, allow)
    return build(section, "task", path="config.task", fill=parts, allow=allow)


def averaged(task: Task, config: RunConfig) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Params and variables, as shapes, of the networks whose average a run keeps.

    Several where the config does not say of which conditions images are made; none where it does not say how large
    images are. Raises UserError for networks that cannot be made.
    """
    resolution, channels = (config.networks[GENERATOR].get(key) for key in ("resolution", "channels"))
    conditions = (0,) if resolution else (3, 1)
    if channels is None or not (resolution or restores_task(task)):
        return []
    size = resolution or config.data.resolution or SIZE
    return [_shapes(task, size, channels, condition) for condition in conditions]


def _shapes(task: Task, size: int, channels: int, condition: int) -> tuple[dict[str, Any], dict[str, Any]]:
    pixels = lambda channels: jax.ShapeDtypeStruct((2, size, size, channels), jnp.float32)  # noqa: E731
    batch = {"image": pixels(channels), "label": jax.ShapeDtypeStruct((2,), jnp.int32)}
    if condition:
        batch["condition"] = pixels(condition)
    try:
        trees = jax.eval_shape(lambda given: task.init(jax.random.key(0), given), batch)
    except UserError:
        raise
    except Exception as error:  # whatever a network says to what it is given
        raise UserError(f"the networks cannot be made: {type(error).__name__}: {error}") from None
    params, variables = ({name: tree[name] for name in task.players[GENERATOR]} for tree in trees)
    return params, variables


def restores(config: RunConfig, allow: tuple[str, ...] = ()) -> bool:
    """Whether a config's task makes images from other images, and not from latents."""
    return restores_task(find(config.task, "task", path="config.task", allow=allow))


def restores_task(task: Any) -> bool:
    """The same of a task, or of its class."""
    return hasattr(task, "apply")


def make_degradation(config: RunConfig, allow: tuple[str, ...] = ()) -> Degradation | None:
    """What makes the conditions of a restoration; None where the data set has them."""
    section = config.task.get("degradation")
    return None if section is None else build(section, "degradation", path="config.task.degradation", allow=allow)


def frozen_weights(config: RunConfig) -> dict[str, Any]:
    """Params of networks that nobody trains, by name, from the files that a config names. Raises UserError."""
    section = config.task.get(BACKBONE) or {}
    if not section.get("weights"):
        return {}
    params = load_backbone(section.get("network", "vgg19"), section["weights"])["params"]
    return {BACKBONE: params}


def _make_contents(
    sections: Sequence[tuple[str, Mapping[str, Any]]], backbone: Mapping[str, Any], allow: tuple[str, ...]
) -> tuple[tuple[Content, ...], Backbone | None]:
    """Content losses by their paths in the config, and the network that some of them look through."""
    for key in backbone:
        if key not in ("network", "weights"):
            raise unknown_key(f"config.task.{BACKBONE}", key, ("network", "weights"))
    made = [_make_content(section, path, allow) for path, section in sections]
    if not backbone.get("weights"):
        for content in (each for each in made if each.wants("features")):
            log.warning("%s is left out: config.task.backbone.weights names no file", content.name)
        return tuple(content for content in made if not content.wants("features")), None
    network = backbone.get("network", "vgg19")
    if any(content.wants("heads") for content in made):
        heads = lpips_heads(network)
        made = [
            dataclasses.replace(c, arguments={**c.arguments, "heads": heads}) if c.wants("heads") else c for c in made
        ]
    looking = [content.arguments for content in made if content.wants("features")]
    layers = {layer for each in looking for layer in each.get("heads") or each.get("layers", REAL_ESRGAN)}
    return tuple(made), Backbone(network, tuple(sorted(layers))) if layers else None


def _make_content(section: Mapping[str, Any], path: str, allow: tuple[str, ...]) -> Content:
    check_content(section, path, allow)
    arguments = {key: value for key, value in section.items() if key not in ("name", "weight")}
    function = build(section, "content", path=path, allow=allow)
    return Content(section["name"].rpartition(".")[2], function, section.get("weight", 1.0), arguments)


def _make_penalty(section: Mapping[str, Any], path: str, allow: tuple[str, ...]) -> Penalty:
    check_regularizer(section, path, allow)
    arguments = {key: value for key, value in section.items() if key not in ("name", "every")}
    function = build(section, "regularizer", path=path, allow=allow)
    return Penalty(section["name"].rpartition(".")[2], function, arguments, every=section.get("every", 1))

"""From a config to the task and its networks: all that a trained model needs to be used."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from jaxgan.builder import (
    ADVERSARY,
    PENALTIES,
    accepts,
    adversary_parameters,
    build,
    check_content,
    check_regularizer,
    is_section,
    requires,
)
from jaxgan.config import RunConfig, Section, unknown_key
from jaxgan.data.sources import DataSpec
from jaxgan.errors import UserError
from jaxgan.fields import fit, label_field, pixel_field
from jaxgan.game import Product, Task
from jaxgan.losses.perceptual import REAL_ESRGAN
from jaxgan.media.plain import plain
from jaxgan.models.pretrained.vgg import Backbone, load_backbone, lpips_heads
from jaxgan.regularizers.gradient_penalty import auto_gamma
from jaxgan.tasks.penalty import Penalty
from jaxgan.tasks.restoration import BACKBONE, Content
from jaxgan.training.parts import example_batch

log = logging.getLogger(__name__)

NETWORKS = ("generator", "discriminator")
ADVICE = {"condition": "give config.task.degradation or config.data.condition"}  # on fields that data may lack
SIZE = 192  # pixels of an image where any will do: most scales divide it


def fill_in(config: RunConfig, spec: DataSpec, allow: tuple[str, ...] = ()) -> RunConfig:
    """The config with what the data set decides written into its sections, where they leave it out.

    That is `resolution`, `channels` and `num_classes`. Raises UserError where a section says otherwise
    than the data set, and for labels wanted of a data set without them. `allow` as in `make_task`.
    """
    image, classes = spec.fields.get("image"), spec.classes
    if config.conditional and not classes:
        raise UserError(f"config.conditional: got {config.conditional!r}, but {spec.name} has no labels")
    sizes = {} if image is None else {"resolution": image.height, "channels": image.channels}
    shape = {key: size for key, size in sizes.items() if size is not None}
    shape["num_classes"] = len(classes) if config.conditional else 0
    ways = config.conditional.split("+") if isinstance(config.conditional, str) else ()
    sections: dict[str, Any] = {}
    for name, way in zip(NETWORKS, ways or (None, None)):
        if not getattr(config, name):
            continue  # a task that needs no such network
        section = _filled(getattr(config, name), "network", shape, spec.name, f"config.{name}", allow)
        sections[name] = section if way is None else _conditioned(section, way, f"config.{name}", allow)
    sections["task"] = _filled(config.task, "task", shape, spec.name, "config.task", allow)
    for name in PENALTIES:
        if name in config.task:
            sections["task"][name] = tuple(
                {**penalty, "gamma": auto_gamma(shape["resolution"], config.batch_size)}
                if "resolution" in shape and penalty.get("gamma") == "auto"
                else penalty
                for penalty in config.task[name]
            )
    return dataclasses.replace(config, **sections)


def _filled(
    section: Section, kind: str, shape: Mapping[str, int], data: str, path: str, allow: tuple[str, ...]
) -> dict[str, Any]:
    filled = {
        key: _filled(value, kind, shape, data, f"{path}.{key}", allow)
        if kind == "network" and is_section(value)
        else value
        for key, value in section.items()
    }
    for key, value in shape.items():
        if not accepts(section, kind, key, path=path, allow=allow):
            continue
        if filled.setdefault(key, value) != value:
            raise UserError(f"{path}.{key}: got {filled[key]!r}, but {data} has {value!r}")
    return filled


def _conditioned(section: dict[str, Any], way: str, path: str, allow: tuple[str, ...]) -> dict[str, Any]:
    """The section, and those in it, with this way of conditioning."""
    inner = {
        key: _conditioned(value, way, f"{path}.{key}", allow) for key, value in section.items() if is_section(value)
    }
    if accepts(section, "network", "conditioning", path=path, allow=allow):
        return {**section, **inner, "conditioning": way}
    if not inner:
        raise UserError(f"config.conditional: {section['name']} knows no other way than its own; accepted is true")
    return {**section, **inner}


def make_task(config: RunConfig, allow: tuple[str, ...] = ()) -> Task:
    """The task of a filled-in config. `allow` names further packages that sections may point into."""
    parts: dict[str, Any] = {
        name: build(getattr(config, name), "network", path=f"config.{name}", allow=allow)
        for name in NETWORKS
        if getattr(config, name)
    }
    section = dict(config.task)
    if "loss" in section:
        parts["loss"] = build({"name": section.pop("loss")}, "loss", path="config.task.loss", allow=allow)
    for name in (each for each in PENALTIES if each in section):
        penalties = enumerate(section.pop(name))
        parts[name] = tuple(_make_penalty(p, f"config.task.{name}.{i}", allow) for i, p in penalties)
        for penalty in parts[name]:
            if penalty.wants("synthesize") and not hasattr(parts["generator"], "synthesize"):
                raise UserError(f"config.task.{name}: {penalty.name} needs a generator with styles")
    for kind in ("augment", "degradation"):
        if section.get(kind) is not None:
            parts[kind] = build(section.pop(kind), kind, path=f"config.task.{kind}", allow=allow)
    if accepts(section, "task", "adversary", path="config.task", allow=allow):
        parts |= _make_adversary(section, parts, parts.pop("discriminator", None), allow)
    if "content" in section:
        contents = [(f"config.task.content.{i}", each) for i, each in enumerate(section.pop("content"))]
        backbone = section.pop(BACKBONE, None) or {}
        parts["content"], parts[BACKBONE] = _make_contents(contents, backbone, allow)
    return build(section, "task", path="config.task", fill=parts, allow=allow)


def check_data(task: Task, spec: DataSpec) -> None:
    """Raises UserError where the data have not what the task asks for."""
    fit(task.asks, spec.fields, asker="config.task", giver=plain(spec.name), advice=ADVICE)


def _make_adversary(
    section: dict[str, Any], parts: dict[str, Any], network: Any, allow: tuple[str, ...]
) -> dict[str, Any]:
    """What a task gets as its adversary, made of the keys that are an adversary's, which section and parts lose.

    Nothing where it needs none; raises UserError where it does and the network or the loss is missing.
    """
    needed = requires(section, "task", "adversary", path="config.task", allow=allow)
    needed |= section.get("adversarial_start") is not None
    own, made = ({key: each.pop(key) for key in adversary_parameters() if key in each} for each in (section, parts))
    missing = "config.discriminator" if network is None else "config.task.loss"
    if network is not None and "loss" in made:
        made["network"] = network
        return {"adversary": build({"name": ADVERSARY, **own}, "adversary", path="config.task", fill=made, allow=allow)}
    if needed:
        raise UserError(f"{missing} is missing")
    return {}


def shapes_of(task: Task, config: RunConfig, product: Product) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Params and variables, as shapes, of the networks that a product uses.

    Several where the config does not say of which conditions images are made; none where it does not say how large
    images are. Raises UserError for networks that cannot be made.
    """
    resolution, channels = (config.generator.get(key) for key in ("resolution", "channels"))
    conditions = (0,) if resolution else (3, 1)
    if channels is None or not (resolution or product.makes_pixels_of("pixels")):
        return []
    size = resolution or config.data.resolution or SIZE
    return [_shapes(task, size, channels, condition, product.networks) for condition in conditions]


def _shapes(
    task: Task, size: int, channels: int, condition: int, networks: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    spec = {"image": pixel_field(size, size, channels), "label": label_field()}
    if condition:
        spec["condition"] = pixel_field(size, size, condition)
    try:
        trees = jax.eval_shape(lambda: task.init(jax.random.key(0), example_batch(spec)))
    except UserError:
        raise
    except Exception as error:  # whatever a network says to what it is given
        raise UserError(f"the networks cannot be made: {type(error).__name__}: {error}") from None
    params, variables = ({name: tree[name] for name in networks} for tree in trees)
    return params, variables


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

"""Builds the task and its networks from a config: everything that using a trained model requires."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from typing import Any

import jax

from jaxgan.building.builder import Parameters, build, changed
from jaxgan.config.domains import given
from jaxgan.config.run import RunConfig, path_of
from jaxgan.data.sources import DataSpec
from jaxgan.errors import UserError
from jaxgan.fields import MAIN, PLANES, Field, conditions, fit, label_field, pixel_field, source_of, text_of
from jaxgan.game import Product, Task
from jaxgan.losses.perceptual import REAL_ESRGAN
from jaxgan.models.pretrained import vgg
from jaxgan.models.pretrained.vgg import load_backbone, lpips_heads
from jaxgan.regularizers.gradient_penalty import auto_gamma
from jaxgan.system.plain import plain
from jaxgan.tasks.restoration import BACKBONE, Backbone, Restoration
from jaxgan.training.batches import example_batch

log = logging.getLogger(__name__)

ADVICE = {"condition": "give config.task.degradation or config.data.condition"}  # for fields that the data lack
NETWORK = 2  # dots in the path of a network's section; a part of a network has more, and may have a finer resolution
SIZE = 192  # pixels of an image of arbitrary size: most scales divide it
SHORTEST = 2  # frames of a clip of arbitrary length


def fill_in(config: RunConfig, spec: DataSpec, allow: tuple[str, ...] = ()) -> RunConfig:
    """The config with the arguments that depend on the data set filled into sections that leave them out.

    These are `resolution`, `channels`, `frames` (of clips), `num_classes`, and the sizes of tokens or vectors, for
    parameters annotated as `Given`; a part of a network may have a multiple of the resolution. Raises UserError if a
    section contradicts the data set, or requires labels or conditions that the data set lacks. `allow` as in
    `make_task`.
    """
    image = spec.fields.get("image")
    sizes = {} if image is None else {"resolution": image.height, "channels": image.channels, "frames": image.frames}
    shape = {key: size for key, size in sizes.items() if size is not None} | _condition(config, spec)
    others = [field for name, field in spec.fields.items() if source_of(name) != MAIN and field.kind == "pixels"]
    further = {"resolution": [field.height for field in others], "channels": [field.channels for field in others]}

    def filled(section: dict[str, Any], parameters: Parameters, path: str) -> dict[str, Any]:
        for key, value in shape.items():
            if key not in parameters or not given(parameters[key].annotation):
                continue
            finer = key == "resolution" and path.count(".") > NETWORK and section.get(key, value) % value == 0
            if section.setdefault(key, value) not in (value, *further.get(key, ())) and not finer:
                raise UserError(f"{path}.{key}: got {section[key]!r}, but {spec.name} has {value!r}")
        if "resolution" in shape and section.get("gamma") == "auto":
            section["gamma"] = auto_gamma(shape["resolution"], config.batch_size)
        return section

    networks = {
        name: changed(section, "network", filled, path=f"config.networks.{name}", allow=allow)
        for name, section in config.networks.items()
    }
    task = changed(config.task, "task", filled, path="config.task", allow=allow)
    return dataclasses.replace(config, networks=networks, task=task)


def _condition(config: RunConfig, spec: DataSpec) -> dict[str, int]:
    """The arguments of networks that describe the condition of the task."""
    name = config.task.get("condition")
    if name is None:
        return {"num_classes": 0}
    known = {each: field for each, field in conditions(spec.fields).items() if field.names or field.kind == "vector"}
    if name not in known:
        there = f"{plain(spec.name)} has {text_of(known)}"
        raise UserError(f"config.task.condition: got {name!r}, expected labels, tokens or vectors; {there}")
    field = known[name]
    if field.kind == "label":
        return {"num_classes": len(field.names)}
    if len(field.shape) != 1 or field.shape[0] is None:
        raise UserError(f"config.task.condition: {name!r} is {field} in {plain(spec.name)}, expected one known size")
    (size,) = field.known
    own = {"condition_dim": size} if field.kind == "vector" else {"length": size, "vocabulary": len(field.names)}
    return {"num_classes": 0, **own}


def make_task(config: RunConfig, allow: tuple[str, ...] = ()) -> Task:
    """The task of a filled-in config. `allow` names further packages that sections may refer to."""
    networks = {
        name: build(section, "network", path=f"config.networks.{name}", allow=allow)
        for name, section in config.networks.items()
    }
    task = build(config.task, "task", path="config.task", networks=networks, allow=allow)
    return _with_backbone(task) if isinstance(task, Restoration) else task


def check_data(task: Task, spec: DataSpec) -> None:
    """Raises UserError if the data lack fields that the task requires, or if the task does not use a further source."""
    for source in dict.fromkeys(map(source_of, (*spec.fields, *task.asks))):
        asked, given = (
            {n: f for n, f in fields.items() if source_of(n) == source} for fields in (task.asks, spec.fields)
        )
        giver = plain(spec.name) if source == MAIN else path_of(source)
        if source != MAIN and not asked:
            raise UserError(f"{giver}: config.task uses no field of it; it requires {text_of(task.asks)}")
        fit(asked, given, asker="config.task", giver=giver, advice=ADVICE)


def shapes_of(task: Task, config: RunConfig, product: Product) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Params and variables, as shapes, of the networks that a product uses.

    The list has several alternatives if the config leaves the channels of conditions open, and is empty if it leaves
    the size of images open. Raises UserError for networks that cannot be created.
    """
    section = next(
        (config.networks[name] for name in (*task.averaged, *product.networks) if name in config.networks), {}
    )
    resolution, channels = section.get("resolution"), section.get("channels")
    conditions = (0,) if resolution else (3, 1)
    if channels is None or not (resolution or product.makes_pixels_of("pixels")):
        return []
    size = resolution or config.data.resolution or SIZE
    image = task.asks.get("image")
    usual = config.data.frames or SHORTEST  # discriminators may require more frames than the shortest clip has
    frames = section.get("frames") or (image.frames or usual if image is not None and image.clip else None)
    return [
        _shapes(task, pixel_field(size, size, channels, frames=frames), condition, product.networks)
        for condition in conditions
    ]


def _shapes(task: Task, image: Field, condition: int, networks: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    spec = {"image": image, "label": label_field()}
    if condition:
        spec["condition"] = dataclasses.replace(image, shape=(*image.shape[:-1], condition))
    spec |= {name: _sized(field, image) for name, field in task.asks.items() if name not in spec}
    try:
        trees = jax.eval_shape(lambda: task.init(jax.random.key(0), example_batch(spec)))
    except UserError:
        raise
    except Exception as error:  # a network may raise anything for unsuitable inputs
        raise UserError(f"the networks cannot be created: {type(error).__name__}: {error}") from None
    params, variables = ({name: tree[name] for name in networks} for tree in trees)
    return params, variables


def _sized(field: Field, image: Field) -> Field:
    """A field with all sizes known: unknown ones are those of the image, or 1 if the field is no image."""
    like = image.shape[-len(field.shape) :] if field.kind in PLANES else [1] * len(field.shape)
    shape = tuple(each if known is None else known for known, each in zip(field.shape, like))
    return dataclasses.replace(field, shape=shape)


def frozen_weights(config: RunConfig) -> dict[str, Any]:
    """Params of networks that are not trained, by name, from the files that a config names. Raises UserError."""
    section = config.task.get(BACKBONE) or {}
    if not section.get("weights"):
        return {}
    params = load_backbone(section.get("network", "vgg19"), section["weights"])["params"]
    return {BACKBONE: params}


def _with_backbone(task: Restoration) -> Restoration:
    """The task with the backbone of its feature losses; without a backbone, these losses are left out."""
    backbone = task.backbone or Backbone()
    if not backbone.weights:
        for each in task.content:
            if each.wants("features"):
                log.warning("%s is left out: config.task.backbone.weights is not set", each.name)
        kept = tuple(each for each in task.content if not each.wants("features"))
        return dataclasses.replace(task, content=kept, backbone=None)
    heads = lpips_heads(backbone.network) if any(each.wants("heads") for each in task.content) else None
    content = tuple(
        dataclasses.replace(each, arguments={**each.arguments, "heads": heads}) if each.wants("heads") else each
        for each in task.content
    )
    arguments = [each.arguments for each in content if each.wants("features")]
    layers = {layer for each in arguments for layer in each.get("heads") or each.get("layers", REAL_ESRGAN)}
    if not layers:
        return dataclasses.replace(task, backbone=None)
    module = vgg.Backbone(backbone.network, tuple(sorted(layers)))
    return dataclasses.replace(task, content=content, backbone=dataclasses.replace(backbone, module=module))

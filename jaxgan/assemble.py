"""From a config to the task and its networks: all that a trained model needs to be used."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from typing import Any

import jax

from jaxgan.builder import Parameters, build, changed
from jaxgan.config import RunConfig
from jaxgan.data.sources import DataSpec
from jaxgan.domains import given
from jaxgan.errors import UserError
from jaxgan.fields import Field, fit, label_field, pixel_field, told
from jaxgan.game import Product, Task
from jaxgan.losses.perceptual import REAL_ESRGAN
from jaxgan.media.plain import plain
from jaxgan.models.pretrained import vgg
from jaxgan.models.pretrained.vgg import load_backbone, lpips_heads
from jaxgan.regularizers.gradient_penalty import auto_gamma
from jaxgan.tasks.restoration import BACKBONE, Backbone, Restoration
from jaxgan.training.batches import example_batch

log = logging.getLogger(__name__)

ADVICE = {"condition": "give config.task.degradation or config.data.condition"}  # on fields that data may lack
SIZE = 192  # pixels of an image where any will do: most scales divide it
SHORTEST = 2  # frames of a clip where any will do


def fill_in(config: RunConfig, spec: DataSpec, allow: tuple[str, ...] = ()) -> RunConfig:
    """The config with what the data set decides written into its sections, where they leave it out.

    That is `resolution`, `channels`, `frames` (of clips) and `num_classes`, where they are `Given`. Raises UserError
    where a section says otherwise than the data set, and for labels wanted of a data set without them. `allow` as in
    `make_task`.
    """
    image = spec.fields.get("image")
    sizes = {} if image is None else {"resolution": image.height, "channels": image.channels, "frames": image.frames}
    shape = {key: size for key, size in sizes.items() if size is not None} | _condition(config, spec)

    def filled(section: dict[str, Any], parameters: Parameters, path: str) -> dict[str, Any]:
        for key, value in shape.items():
            if key not in parameters or not given(parameters[key].annotation):
                continue
            if section.setdefault(key, value) != value:
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
    """What networks are told of the field that the task has as its condition."""
    name = config.task.get("condition")
    if name is None:
        return {"num_classes": 0}
    known = {each: field for each, field in spec.fields.items() if field.kind == "label" and field.names}
    if name not in known:
        raise UserError(f"config.task.condition: got {name!r}, but of labels {plain(spec.name)} has {told(known)}")
    return {"num_classes": len(known[name].names)}


def make_task(config: RunConfig, allow: tuple[str, ...] = ()) -> Task:
    """The task of a filled-in config. `allow` names further packages that sections may point into."""
    networks = {
        name: build(section, "network", path=f"config.networks.{name}", allow=allow)
        for name, section in config.networks.items()
    }
    task = build(config.task, "task", path="config.task", networks=networks, allow=allow)
    return _with_backbone(task) if isinstance(task, Restoration) else task


def check_data(task: Task, spec: DataSpec) -> None:
    """Raises UserError where the data have not what the task asks for."""
    fit(task.asks, spec.fields, asker="config.task", giver=plain(spec.name), advice=ADVICE)


def shapes_of(task: Task, config: RunConfig, product: Product) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Params and variables, as shapes, of the networks that a product uses.

    Several where the config does not say of which conditions images are made; none where it does not say how large
    images are. Raises UserError for networks that cannot be made.
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
    frames = section.get("frames") or (image.frames or SHORTEST if image is not None and image.clip else None)
    return [
        _shapes(task, pixel_field(size, size, channels, frames=frames), condition, product.networks)
        for condition in conditions
    ]


def _shapes(task: Task, image: Field, condition: int, networks: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    spec = {"image": image, "label": label_field()}
    if condition:
        spec["condition"] = dataclasses.replace(image, shape=(*image.shape[:-1], condition))
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


def _with_backbone(task: Restoration) -> Restoration:
    """The task with the network that its losses look through; losses of features without one are left out."""
    backbone = task.backbone or Backbone()
    if not backbone.weights:
        for each in task.content:
            if each.wants("features"):
                log.warning("%s is left out: config.task.backbone.weights names no file", each.name)
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

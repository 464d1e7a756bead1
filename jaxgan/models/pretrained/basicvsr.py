"""Importing BasicVSR++ and its SPyNet from the state-dict keys of PyTorch suites."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxgan.errors import UserError
from jaxgan.models.pretrained.graph import convolution
from jaxgan.models.pretrained.names import Names, chosen, kernel, renamed, without_compiler
from jaxgan.models.pretrained.stylegan2 import Imported
from jaxgan.models.propagation import AROUND, TAPS

MARK = "feat_extract.main.0.weight"  # a name that marks such files
IGNORED = ("spynet.mean", "spynet.std", "step_counter")
LEVELS, WIDTHS = 6, (32, 64, 32, 16)  # of SPyNet, as published
SHOWN = 8  # input channels of each level: two frames and the flow
PASSES = ("backward_1", "forward_1", "backward_2", "forward_2")


def from_torch(tensors: Mapping[str, np.ndarray]) -> Imported:
    """The network of scale 4 of a state dict under any prefix; averaged weights are preferred.

    Raises UserError for a tensor that is missing, unused, or of a shape that does not fit the others.
    """
    found = chosen(without_compiler(tensors), MARK)
    names = Names(_plainly(found.tensors), IGNORED)
    params: dict[str, Any] = {"flow": _spynet(names)}
    params["extract"] = _blocks(names, "feat_extract", None, None, AROUND)
    inputs, width = params["extract"]["enter"]["kernel"].shape[2:]
    blocks = 0
    while f"backbone.{PASSES[0]}.main.2.{blocks}.conv1.weight" in names:
        blocks += 1
    groups = set()
    for number, name in enumerate(PASSES):
        params[f"carry_{name}"] = _blocks(names, f"backbone.{name}", (2 + number) * width, width, blocks)
        params[f"aligned_{name}"], count = _alignment(names, f"deform_align.{name}", width)
        groups.add(count)
    params["reconstruct"] = _blocks(names, "reconstruction", (1 + len(PASSES)) * width, width, AROUND)
    for index in range(2):
        params[f"up_{index}"] = convolution(names, f"upsample{index + 1}.upsample_conv", width, 4 * width)
    params["fine"] = convolution(names, "conv_hr", width, width)
    params["image"] = convolution(names, "conv_last", width, inputs)
    names.finish()
    if len(groups) > 1:
        raise UserError(f"the weights: got offsets for {sorted(groups)} groups of channels, expected a single number")
    section = {
        "name": "propagation.Grid",
        "channels": inputs,
        "flow": {"name": "spynet.SPyNet", "levels": LEVELS, "published": True},
        "base_width": width,
        "blocks": blocks,
        "groups": groups.pop(),
        "unit_range": True,
    }
    return Imported(section, params, {}, found.description)


def _plainly(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The tensors with SPyNet's layers named as in BasicSR, which counts activations; mmediting does not."""
    names = {name: name for name in tensors}
    for level in range(LEVELS):
        for index in range(len(WIDTHS) + 1):
            for part in ("weight", "bias"):
                within = f"spynet.basic_module.{level}.basic_module"
                names[f"{within}.{index}.conv.{part}"] = f"{within}.{2 * index}.{part}"
    return renamed(tensors, {name: names[name] for name in tensors})


def _spynet(names: Names) -> dict[str, Any]:
    found = {}
    for level in range(LEVELS):
        inputs = SHOWN
        for index, features in enumerate((*WIDTHS, 2)):
            last = "flow" if index == len(WIDTHS) else index
            name = f"spynet.basic_module.{level}.basic_module.{2 * index}"
            found[f"level_{level}_{last}"] = convolution(names, name, inputs, features, size=7)
            inputs = features
    return found


def _blocks(names: Names, prefix: str, inputs: int | None, width: int | None, count: int) -> dict[str, Any]:
    """The params of a convolution and `count` residual blocks."""
    found: dict[str, Any] = {"enter": convolution(names, f"{prefix}.main.0", inputs, width)}
    width = found["enter"]["kernel"].shape[-1]
    for index in range(count):
        convs = {f"conv_{k}": convolution(names, f"{prefix}.main.2.{index}.conv{k + 1}", width, width) for k in (0, 1)}
        found[f"block_{index}"] = convs
    return found


def _alignment(names: Names, prefix: str, width: int) -> tuple[dict[str, Any], int]:
    """The params of a deformable convolution of two frames' features, and its number of offset groups."""
    weight = names.take(f"{prefix}.weight", (width, 2 * width, 3, 3))
    found: dict[str, Any] = {"kernel": kernel(weight), "bias": names.take(f"{prefix}.bias", (width,))}
    inputs = 3 * width + 4
    for index in range(3):
        found[f"offset_{index}"] = convolution(names, f"{prefix}.conv_offset.{2 * index}", inputs, width)
        inputs = width
    found["offset_3"] = convolution(names, f"{prefix}.conv_offset.6", width)
    return found, found["offset_3"]["kernel"].shape[-1] // (3 * TAPS)

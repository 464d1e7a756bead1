"""Importing RRDB from the state-dict keys of PyTorch suites, and from ncnn graphs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxgan.errors import UserError
from jaxgan.models.pretrained.graph import Graph, convolution
from jaxgan.models.pretrained.names import Names, chosen, prefixes, renamed, without_compiler
from jaxgan.models.pretrained.stylegan2 import Imported
from jaxgan.models.rrdb import DENSE, DOUBLINGS, LAYERS, RESIDUAL, SLOPE
from jaxgan.weights.ncnn import Network

MARK = "conv_first.weight"  # a name that marks such files
SCALES = {1: 4, 4: 2, 16: 1}  # by the number of pixels that become channels first
OLDER = {  # ESRGAN's names, mapped to later ones
    "RRDB_trunk": "body",
    **{f"RDB{number}": f"rdb{number}" for number in range(1, DENSE + 1)},
    "trunk_conv": "conv_body",
    "upconv1": "conv_up1",
    "upconv2": "conv_up2",
    "HRconv": "conv_hr",
}


# ESRGAN's oldest names, which number the layers, mapped to later ones
OLDEST_MARK = "model.1.sub.0.RDB1.conv1.0.weight"
OLDEST = re.compile(r"(?P<before>(?:.*\.)?)model\.(?P<layer>\d+)\.(?P<rest>.+)")
OLDEST_BLOCK = re.compile(r"sub\.(?P<block>\d+)\.RDB(?P<dense>\d)\.conv(?P<conv>\d)\.0\.(?P<part>weight|bias)")
OLDEST_LAYERS = {"0": "conv_first", "3": "conv_up1", "6": "conv_up2", "8": "conv_hr", "10": "conv_last"}


def modern(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The tensors by current names. Raises UserError if two would get the same name."""
    tensors = without_compiler(tensors)
    if prefixes(tensors, OLDEST_MARK):
        tensors = renamed(tensors, {name: _of_oldest(name) for name in tensors})
    return renamed(tensors, {name: ".".join(OLDER.get(part, part) for part in name.split(".")) for name in tensors})


def _of_oldest(name: str) -> str:
    """Maps `model.1.sub.0.RDB1.conv1.0.weight` to `body.0.rdb1.conv1.weight`; other names stay."""
    found = OLDEST.fullmatch(name)
    if found is None:
        return name
    before, layer, rest = found["before"], found["layer"], found["rest"]
    if layer in OLDEST_LAYERS and rest in ("weight", "bias"):
        return f"{before}{OLDEST_LAYERS[layer]}.{rest}"
    if layer == "1" and (inner := OLDEST_BLOCK.fullmatch(rest)):
        return f"{before}body.{inner['block']}.rdb{inner['dense']}.conv{inner['conv']}.{inner['part']}"
    if layer == "1" and re.fullmatch(r"sub\.\d+\.(weight|bias)", rest):  # after the blocks
        return f"{before}conv_body.{rest.rpartition('.')[2]}"
    return name


def from_torch(tensors: Mapping[str, np.ndarray]) -> Imported:
    """The network of a state dict in any layout and under any prefix; averaged weights are preferred.

    Raises UserError for a tensor that is missing, unused, or of a shape that does not fit the others.
    """
    found = chosen(modern(tensors), MARK)
    names = Names(found.tensors)
    params: dict[str, Any] = {"stem": convolution(names, "conv_first")}
    inputs, width = params["stem"]["kernel"].shape[2:]
    growth: int | None = None
    blocks = 0
    while blocks == 0 or f"body.{blocks}.rdb1.conv1.weight" in names:
        block = {}
        for index in range(DENSE):
            block[f"dense_{index}"] = _dense(names, f"body.{blocks}.rdb{index + 1}", width, growth)
            growth = block[f"dense_{index}"]["conv_0"]["kernel"].shape[-1]
        params[f"block_{blocks}"], blocks = block, blocks + 1
    params["leave"] = convolution(names, "conv_body", width, width)
    for index in range(DOUBLINGS):
        params[f"up_{index}"] = convolution(names, f"conv_up{index + 1}", width, width)
    params["refine"] = convolution(names, "conv_hr", width, width)
    params["image"] = convolution(names, "conv_last", width)
    names.finish()
    channels = params["image"]["kernel"].shape[-1]
    if inputs % channels or inputs // channels not in SCALES:
        wanted = ", ".join(str(times * channels) for times in SCALES)
        raise UserError(f"the weights: got {inputs} input channels for {channels} output channels, expected {wanted}")
    section = {
        "name": "rrdb.Generator",
        "channels": channels,
        "scale": SCALES[inputs // channels],
        "blocks": blocks,
        "base_width": width,
        "growth": growth,
        "unit_range": True,
    }
    return Imported(section, params, {}, found.description)


def _dense(names: Names, prefix: str, width: int, growth: int | None) -> dict[str, Any]:
    found = {"conv_0": convolution(names, f"{prefix}.conv1", width, growth)}
    growth = found["conv_0"]["kernel"].shape[-1]
    for index in range(1, LAYERS):
        features = growth if index + 1 < LAYERS else width
        found[f"conv_{index}"] = convolution(names, f"{prefix}.conv{index + 1}", width + index * growth, features)
    return found


# layer parameters by number
LEAKY = {9: 2, 10: (SLOPE,)}
SCALED_SUM = {0: 1, 1: (RESIDUAL, 1.0)}
DOUBLED = {0: 1, 1: 2.0, 2: 2.0}  # by repeated pixels


def from_ncnn(network: Network) -> Imported:
    """The network of a graph, of scale 4.

    Raises UserError for a graph of another network, or in another form than the export from PyTorch gives.
    """
    graph = Graph(network, "RRDB")
    x = first = graph.conv("conv_first", graph.take("Input", (), {}))
    blocks = 0
    while _dense_block_follows(graph):
        begin = x
        for number in range(1, DENSE + 1):
            x = _followed(graph, f"body.{blocks}.rdb{number}", x)
        x, blocks = graph.take("Eltwise", (x, begin), SCALED_SUM), blocks + 1
    x = graph.take("BinaryOp", (first, graph.conv("conv_body", x)), {})
    for number in range(1, DOUBLINGS + 1):
        x = graph.conv(f"conv_up{number}", graph.take("Interp", (x,), DOUBLED), LEAKY)
    graph.conv("conv_last", graph.conv("conv_hr", x, LEAKY))
    graph.finish()
    return from_torch(graph.tensors)


def _dense_block_follows(graph: Graph) -> bool:
    """Whether the next convolution has an activation: a block's first one has, the one after the blocks has not."""
    return graph.following is not None and 9 in graph.following.params


def _followed(graph: Graph, name: str, x: str) -> str:
    """Takes a dense block of x."""
    maps: tuple[str, ...] = (x,)
    for number in range(1, LAYERS):
        joined = graph.take("Concat", maps, {}) if number > 1 else x
        maps = (*maps, graph.conv(f"{name}.conv{number}", joined, LEAKY))
    last = graph.conv(f"{name}.conv{LAYERS}", graph.take("Concat", maps, {}))
    return graph.take("Eltwise", (last, x), SCALED_SUM)

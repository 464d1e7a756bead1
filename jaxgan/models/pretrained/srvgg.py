"""Importing SRVGG (SRVGGNetCompact) from the state-dict keys of PyTorch suites, and from ncnn graphs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxgan.errors import UserError
from jaxgan.models.pretrained.graph import Graph, convolution
from jaxgan.models.pretrained.names import Names, chosen, without_compiler
from jaxgan.models.pretrained.stylegan2 import Imported
from jaxgan.weights.ncnn import Network

MARK = "body.0.weight"  # a name that marks such files


def from_torch(tensors: Mapping[str, np.ndarray], *, reduced: float = 1.0) -> Imported:
    """The network of a state dict, under any prefix; averaged weights are preferred.

    The number of layers follows from the names: convolutions and, between them, slopes of PReLU. `reduced` is the
    factor by which images are resized at the end, which a state dict does not contain. Raises UserError for a tensor
    that is missing, unused, or of a shape that does not fit the others.
    """
    found = chosen(without_compiler(tensors), MARK)
    names = Names(found.tensors)
    params: dict[str, Any] = {"stem": convolution(names, "body.0")}
    channels, width = params["stem"]["kernel"].shape[2:]
    params["stem_prelu"] = _slopes(names, "body.1.weight", width)
    convs = 0
    while f"body.{2 * convs + 3}.weight" in names:
        params[f"conv_{convs}"] = convolution(names, f"body.{2 * convs + 2}", width, width)
        params[f"conv_{convs}_prelu"] = _slopes(names, f"body.{2 * convs + 3}.weight", width)
        convs += 1
    params["image"] = convolution(names, f"body.{2 * convs + 2}", width)
    names.finish()
    outputs = params["image"]["kernel"].shape[-1]
    upscale = math.isqrt(outputs // channels)
    if channels * upscale**2 != outputs or not upscale:
        raise UserError(
            f"the weights: got {outputs} output channels for {channels} input channels, expected a square multiple"
        )
    scale = round(reduced * upscale) if 0 < reduced <= 1 else 0
    if not scale or reduced != scale / upscale:
        raise UserError(f"got images enlarged {upscale} times and resized by {reduced}, expected a whole scale")
    section = {
        "name": "srvgg.Generator",
        "channels": channels,
        "scale": scale,
        "convs": convs,
        "base_width": width,
        "unit_range": True,
    }
    if scale != upscale:  # else it is the default
        section["upscale"] = upscale
    return Imported(section, params, {}, found.description)


def _slopes(names: Names, name: str, width: int) -> dict[str, np.ndarray]:
    slope = names.take(name)
    if slope.shape != (width,):
        raise UserError(f"the weights {name}: got shape {slope.shape}, expected {(width,)} (slopes of PReLU)")
    return {"slope": slope}


# layer parameters by number
COUNT = 0  # of slopes
NEAREST, BICUBIC = 1, 3  # kinds of resizing


def from_ncnn(network: Network) -> Imported:
    """The network of a graph.

    Raises UserError for a graph of another network, or in another form than the export from PyTorch gives.
    """
    graph = Graph(network, "SRVGG")
    given, layers = graph.take("Input", (), {}), 0
    x = graph.conv("body.0", given)
    while graph.following is not None and graph.following.kind == "PReLU":
        slopes = {"slope": f"body.{2 * layers + 1}.weight"}
        x = graph.take("PReLU", (x,), {}, ignored=(COUNT,), weights=slopes)
        layers += 1
        x = graph.conv(f"body.{2 * layers}", x)
    factor = graph.following.params.get(0) if graph.following is not None else None
    pixels = graph.take("PixelShuffle", (x,), {0: factor})
    repeated = graph.take("Interp", (given,), _resizing(NEAREST, factor))
    image, reduced = graph.take("BinaryOp", (pixels, repeated), {}), 1.0
    if graph.following is not None:
        found = graph.following.params.get(1)
        reduced = float(found) if isinstance(found, int | float) else 0.0
        graph.take("Interp", (image,), _resizing(BICUBIC, reduced))
    graph.finish()
    imported = from_torch(graph.tensors, reduced=reduced)
    upscale = imported.section.get("upscale", imported.section["scale"])
    if upscale != factor:
        raise UserError(f"the graph: got channels for {upscale} x {upscale} pixels, expected {factor} x {factor}")
    return imported


def _resizing(kind: int, factor: object) -> dict[int, object]:
    return {0: kind, 1: factor, 2: factor}

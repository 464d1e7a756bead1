"""Importing StyleGAN2 generators from the common PyTorch re-implementation, with keys such as `style.1.weight`."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any

import numpy as np

from jaxgan.models.pretrained.names import Names, chosen, kernel, without_compiler
from jaxgan.models.pretrained.stylegan2 import START, Imported, mapping_of, section_of
from jaxgan.weights.schema import checked

MARK = "conv1.conv.modulation.weight"  # a name that marks such files
MEAN = "latent_avg"


def from_torch(tensors: Mapping[str, np.ndarray]) -> Imported:
    """The generator of a state dict, under any prefix; averaged weights are preferred.

    `latent_avg` becomes the mean style. Raises UserError for a tensor that is missing, unused or of another shape, and
    for unsupported widths.
    """
    tensors = without_compiler(tensors)
    found = chosen(tensors, MARK)
    names = Names(found.tensors, (".kernel", MEAN))
    mapping = mapping_of(names, "style.1", lambda layer: f"style.{layer + 1}", None)  # style.0 has no weights
    style = len(mapping["dense_0"]["bias"])
    constants: dict[str, Any] = {}
    constant = names.take("input.input", (1, "channels", START, START))[0]
    synthesis: dict[str, Any] = {"constant": constant.transpose(1, 2, 0)}
    width, colours = len(constant), None

    def modulated(theirs: str, inputs: int, outputs: int | str, size: int) -> dict[str, Any]:
        weight = names.take(f"{theirs}.conv.weight", (1, outputs, inputs, size, size))
        return {"affine": names.dense(f"{theirs}.conv.modulation", inputs, style), "kernel": kernel(weight)}

    def styled(name: str, theirs: str, noise: int, pixels: int) -> None:
        nonlocal width
        layer = modulated(theirs, width, "outputs", 3)
        width = layer["kernel"].shape[-1]
        layer["noise_strength"] = names.take(f"{theirs}.noise.weight", (1,), ()).reshape(())
        layer["bias"] = names.take(f"{theirs}.activate.bias", (width,), (1, width, 1, 1)).reshape(-1)
        synthesis[name] = layer
        constants[name] = {"noise": names.take(f"noises.noise_{noise}", (1, 1, pixels, pixels))[0, 0]}

    def to_rgb(pixels: int, theirs: str) -> None:
        nonlocal colours
        layer = modulated(theirs, width, colours or "colours", 1)
        colours = layer["kernel"].shape[-1]
        layer["bias"] = names.take(f"{theirs}.bias", (1, colours, 1, 1), (colours,)).reshape(-1)
        synthesis[f"to_rgb_{pixels}"] = layer

    styled(f"conv_{START}", "conv1", 0, START)
    to_rgb(START, "to_rgb1")
    resolution = START
    for index in count():
        if f"to_rgbs.{index}.bias" not in names:
            break
        resolution *= 2
        styled(f"up_{resolution}", f"convs.{2 * index}", 2 * index + 1, resolution)
        styled(f"conv_{resolution}", f"convs.{2 * index + 1}", 2 * index + 2, resolution)
        to_rgb(resolution, f"to_rgbs.{index}")
    names.finish()
    params = {"mapping": mapping, "synthesis": synthesis}
    variables: dict[str, Any] = {"constants": {"synthesis": constants}}
    mean = _beside(tensors, found.prefix)
    if mean is not None:
        variables["average"] = {"style_mean": checked(MEAN, mean, (style,), (1, style)).reshape(-1)}
    return Imported(section_of(params, resolution, len(mapping), 0), params, variables, found.description)


def _beside(tensors: Mapping[str, np.ndarray], prefix: str) -> np.ndarray | None:
    """The mean style: among the network's own names, or under any part of their prefix."""
    parts = prefix.rstrip(".").split(".") if prefix else []
    places = [".".join([*parts[:length], MEAN]) for length in range(len(parts), -1, -1)]
    return next((tensors[place] for place in places if place in tensors), None)

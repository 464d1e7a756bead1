"""Helpers of the importers of StyleGAN2 generators: the mapping network, and the config section."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from jaxgan.errors import UserError
from jaxgan.models.pretrained.names import Names
from jaxgan.models.stylegan2 import stage_widths

START = 4  # pixels of the constant


class Imported(NamedTuple):
    """A generator's config section, params and variables; `variables` has no mean style if the file has none."""

    section: dict[str, Any]
    params: dict[str, Any]
    variables: dict[str, Any]
    description: str = ""  # describes which of several sets of weights in the file was used


def mapping_of(names: Names, first: str, following: Callable[[int], str], label: str | None) -> dict[str, Any]:
    """The params of the mapping network; `following` maps a layer's number to its name. Raises UserError if missing."""
    mapping = {"dense_0": names.dense(first)}
    style = len(mapping["dense_0"]["bias"])
    while f"{following(len(mapping))}.weight" in names:
        mapping[f"dense_{len(mapping)}"] = names.dense(following(len(mapping)), style, style)
    if label is not None and f"{label}.weight" in names:
        mapping["label"] = names.dense(label, style)
        inputs = len(mapping["dense_0"]["kernel"])
        if inputs <= style:
            raise UserError(f"the weights {first}.weight: got {inputs} inputs, expected more than {style} with classes")
    return mapping


def section_of(params: Mapping[str, Any], resolution: int, mapping_layers: int, num_classes: int) -> dict[str, Any]:
    """The config section of a generator with these params. Raises UserError for widths that no section describes."""
    synthesis = params["synthesis"]
    pixels = [START << index for index in range(resolution.bit_length() - 2)]
    widths = tuple(synthesis[f"conv_{each}"]["kernel"].shape[-1] for each in pixels)
    base_width, max_width = widths[-1], max(widths)
    if stage_widths(resolution, base_width, max_width) != widths:
        raise UserError(f"got widths {widths} at 4, 8, ... pixels, expected widths that double up to a largest one")
    return {
        "name": "stylegan2.Generator",
        "resolution": resolution,
        "channels": synthesis[f"to_rgb_{resolution}"]["kernel"].shape[-1],
        "num_classes": num_classes,
        "style_dim": params["mapping"]["dense_0"]["kernel"].shape[1],
        "mapping_layers": mapping_layers,
        "base_width": base_width,
        "max_width": max_width,
    }

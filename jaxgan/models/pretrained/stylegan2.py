"""What the mappings of published StyleGAN2 generators share: the mapping network, and the section that fits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from jaxgan.errors import UserError
from jaxgan.models.pretrained.names import Names
from jaxgan.models.stylegan2 import stage_widths

START = 4  # pixels of the constant


class Imported(NamedTuple):
    """A generator's section of a config, and its params and variables; without a mean style where the file has none."""

    section: dict[str, Any]
    params: dict[str, Any]
    variables: dict[str, Any]
    told: str = ""  # which of several sets of weights in the file these are


def mapping_of(names: Names, first: str, following: Callable[[int], str], label: str | None) -> dict[str, Any]:
    """The mapping network's layers; `following` names a layer by its number. Raises UserError if there is none."""
    mapping = {"dense_0": names.dense(first)}
    style = len(mapping["dense_0"]["bias"])
    while f"{following(len(mapping))}.weight" in names:
        mapping[f"dense_{len(mapping)}"] = names.dense(following(len(mapping)), style, style)
    if label is not None and f"{label}.weight" in names:
        mapping["label"] = names.dense(label, style)
        inputs = len(mapping["dense_0"]["kernel"])
        if inputs <= style:
            raise UserError(
                f"the weights: {first}.weight takes {inputs} numbers, expected are over {style} with classes"
            )
    return mapping


def section_of(params: Mapping[str, Any], resolution: int, mapping_layers: int, num_classes: int) -> dict[str, Any]:
    """The section of a generator with these params. Raises UserError for widths that no section can say."""
    synthesis = params["synthesis"]
    pixels = [START << index for index in range(resolution.bit_length() - 2)]
    widths = tuple(synthesis[f"conv_{each}"]["kernel"].shape[-1] for each in pixels)
    base_width, max_width = widths[-1], max(widths)
    if stage_widths(resolution, base_width, max_width) != widths:
        raise UserError(f"widths of {widths} at 4, 8, ... pixels cannot be had: they must double up to a largest one")
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

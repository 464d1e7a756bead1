"""Importing StyleGAN2 generators from NVIDIA's names (`mapping.fc0.weight`, `synthesis.b8.conv0.affine.weight`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxgan.models.pretrained.names import Names, chosen, kernel, without_compiler
from jaxgan.models.pretrained.stylegan2 import START, Imported, mapping_of, section_of

MARK = "synthesis.b4.const"  # a name that marks such files


def from_nvidia(tensors: Mapping[str, np.ndarray]) -> Imported:
    """The generator of a state dict, under any prefix such as `G_ema`; averaged weights are preferred.

    Raises UserError for a tensor that is missing, unused or of another shape, and for unsupported widths.
    """
    found = chosen(without_compiler(tensors), MARK)
    names = Names(found.tensors, ("resample_filter",))
    mapping = mapping_of(names, "mapping.fc0", lambda layer: f"mapping.fc{layer}", "mapping.embed")
    num_classes = len(mapping["label"]["kernel"]) if "label" in mapping else 0
    style, layers = len(mapping["dense_0"]["bias"]), sum(name.startswith("dense") for name in mapping)
    constants: dict[str, Any] = {}
    constant = names.take("synthesis.b4.const", ("channels", START, START))
    synthesis: dict[str, Any] = {"constant": constant.transpose(1, 2, 0)}
    width, colours = len(constant), None

    def modulated(theirs: str, inputs: int, outputs: int | str, size: int) -> dict[str, Any]:
        weight = names.take(f"{theirs}.weight", (outputs, inputs, size, size))
        bias = names.take(f"{theirs}.bias", (len(weight),))
        return {"affine": names.dense(f"{theirs}.affine", inputs, style), "kernel": kernel(weight), "bias": bias}

    def styled(name: str, theirs: str, pixels: int) -> None:
        nonlocal width
        synthesis[name] = modulated(theirs, width, "outputs", 3)
        width = synthesis[name]["kernel"].shape[-1]
        synthesis[name]["noise_strength"] = names.take(f"{theirs}.noise_strength", (), (1,)).reshape(())
        constants[name] = {"noise": names.take(f"{theirs}.noise_const", (pixels, pixels))}

    pixels = START
    while pixels == START or f"synthesis.b{pixels}.conv1.weight" in names:
        block = f"synthesis.b{pixels}"
        if pixels > START:
            styled(f"up_{pixels}", f"{block}.conv0", pixels)
        styled(f"conv_{pixels}", f"{block}.conv1", pixels)
        synthesis[f"to_rgb_{pixels}"] = modulated(f"{block}.torgb", width, colours or "colours", 1)
        colours = synthesis[f"to_rgb_{pixels}"]["kernel"].shape[-1]
        pixels *= 2
    variables = {
        "constants": {"synthesis": constants},
        "average": {"style_mean": names.take("mapping.w_avg", (style,))},
    }
    names.finish()
    params = {"mapping": mapping, "synthesis": synthesis}
    return Imported(section_of(params, pixels // 2, layers, num_classes), params, variables, found.description)

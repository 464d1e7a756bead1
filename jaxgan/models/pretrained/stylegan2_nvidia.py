"""StyleGAN2 generators in NVIDIA's parameter names (`mapping.fc0.weight`, `synthesis.b8.conv0.affine.weight`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxgan.models.pretrained.stylegan2 import START, Imported, Names, kernel, section_of

MARK = "synthesis.b4.const"  # a name that such files have


def from_nvidia(tensors: Mapping[str, np.ndarray]) -> Imported:
    """The generator of a file of tensors, its own names or under `G_ema` or `G`.

    Raises UserError for a tensor that is missing or left over, and for widths that cannot be had.
    """
    names = Names(tensors, ("G_ema.", "G."), ("resample_filter",))
    constants: dict[str, Any] = {}
    synthesis: dict[str, Any] = {"constant": names.take("synthesis.b4.const").transpose(1, 2, 0)}

    def styled(name: str, theirs: str) -> None:
        synthesis[name] = {
            "affine": names.dense(f"{theirs}.affine"),
            "kernel": kernel(names.take(f"{theirs}.weight")),
            "noise_strength": names.take(f"{theirs}.noise_strength").reshape(()),
            "bias": names.take(f"{theirs}.bias"),
        }
        constants[name] = {"noise": names.take(f"{theirs}.noise_const")}

    pixels = START
    while f"synthesis.b{pixels}.conv1.weight" in names:
        block = f"synthesis.b{pixels}"
        if pixels > START:
            styled(f"up_{pixels}", f"{block}.conv0")
        styled(f"conv_{pixels}", f"{block}.conv1")
        synthesis[f"to_rgb_{pixels}"] = {
            "affine": names.dense(f"{block}.torgb.affine"),
            "kernel": kernel(names.take(f"{block}.torgb.weight")),
            "bias": names.take(f"{block}.torgb.bias"),
        }
        pixels *= 2
    mapping: dict[str, Any] = {}
    while f"mapping.fc{len(mapping)}.weight" in names:
        mapping[f"dense_{len(mapping)}"] = names.dense(f"mapping.fc{len(mapping)}")
    layers, num_classes = len(mapping), 0
    if "mapping.embed.weight" in names:
        mapping["label"] = names.dense("mapping.embed")
        num_classes = len(mapping["label"]["kernel"])
    variables = {
        "constants": {"synthesis": constants},
        "average": {"style_mean": names.take("mapping.w_avg")},
    }
    names.finish()
    params = {"mapping": mapping, "synthesis": synthesis}
    return Imported(section_of(params, pixels // 2, layers, num_classes), params, variables)

"""StyleGAN2 generators in the state-dict keys of the common PyTorch re-implementation, such as `style.1.weight`."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any

import numpy as np

from jaxgan.models.pretrained.stylegan2 import START, Imported, Names, kernel, section_of

MARK = "conv1.conv.modulation.weight"  # a name that such files have


def from_torch(tensors: Mapping[str, np.ndarray]) -> Imported:
    """The generator of a state dict, its own or under `g_ema` or `g`; `latent_avg` becomes the mean style.

    Raises UserError for a tensor that is missing or left over, and for widths that cannot be had.
    """
    mean = tensors.get("latent_avg")
    names = Names(tensors, ("g_ema.", "g."), (".kernel", "latent_avg"))
    constants: dict[str, Any] = {}
    synthesis: dict[str, Any] = {"constant": names.take("input.input")[0].transpose(1, 2, 0)}

    def styled(name: str, theirs: str, noise: int) -> None:
        synthesis[name] = {
            "affine": names.dense(f"{theirs}.conv.modulation"),
            "kernel": kernel(names.take(f"{theirs}.conv.weight")),
            "noise_strength": names.take(f"{theirs}.noise.weight").reshape(()),
            "bias": names.take(f"{theirs}.activate.bias").reshape(-1),
        }
        constants[name] = {"noise": names.take(f"noises.noise_{noise}")[0, 0]}

    def to_rgb(pixels: int, theirs: str) -> None:
        synthesis[f"to_rgb_{pixels}"] = {
            "affine": names.dense(f"{theirs}.conv.modulation"),
            "kernel": kernel(names.take(f"{theirs}.conv.weight")),
            "bias": names.take(f"{theirs}.bias").reshape(-1),
        }

    styled(f"conv_{START}", "conv1", 0)
    to_rgb(START, "to_rgb1")
    resolution = START
    for index in count():
        if f"to_rgbs.{index}.bias" not in names:
            break
        resolution *= 2
        styled(f"up_{resolution}", f"convs.{2 * index}", 2 * index + 1)
        styled(f"conv_{resolution}", f"convs.{2 * index + 1}", 2 * index + 2)
        to_rgb(resolution, f"to_rgbs.{index}")
    mapping: dict[str, Any] = {}
    while f"style.{len(mapping) + 1}.weight" in names:  # style.0 has no weights
        mapping[f"dense_{len(mapping)}"] = names.dense(f"style.{len(mapping) + 1}")
    names.finish()
    params = {"mapping": mapping, "synthesis": synthesis}
    variables: dict[str, Any] = {"constants": {"synthesis": constants}}
    if mean is not None:
        variables["average"] = {"style_mean": np.asarray(mean, np.float32).reshape(-1)}
    return Imported(section_of(params, resolution, len(mapping), 0), params, variables)

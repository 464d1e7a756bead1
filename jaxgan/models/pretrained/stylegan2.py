"""What the mappings of published StyleGAN2 generators share: names taken one by one, layouts, the section that fits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxgan.errors import UserError
from jaxgan.models.stylegan2 import stage_widths

START = 4  # pixels of the constant


class Imported(NamedTuple):
    """A generator's section of a config, and its params and variables; without a mean style where the file has none."""

    section: dict[str, Any]
    params: dict[str, Any]
    variables: dict[str, Any]


class Names:
    """The tensors of a file, each to be taken once."""

    def __init__(self, tensors: Mapping[str, np.ndarray], prefixes: tuple[str, ...], ignored: tuple[str, ...]):
        """The first prefix that begins a name is cut off; other names, and `ignored` endings, are left out."""
        prefix = next((p for p in prefixes if any(name.startswith(p) for name in tensors)), "")
        self._left = {
            name.removeprefix(prefix): value
            for name, value in tensors.items()
            if name.startswith(prefix) and not name.endswith(ignored)
        }

    def __contains__(self, name: str) -> bool:
        return name in self._left

    def take(self, name: str) -> np.ndarray:
        """The tensor. Raises UserError where there is none."""
        if name not in self._left:
            raise UserError(f"the weights lack {name}")
        return np.asarray(self._left.pop(name), np.float32)

    def dense(self, name: str) -> dict[str, np.ndarray]:
        """A fully connected layer."""
        return {"kernel": self.take(f"{name}.weight").T, "bias": self.take(f"{name}.bias").reshape(-1)}

    def finish(self) -> None:
        """Raises UserError where a tensor was not wanted."""
        if self._left:
            raise UserError(f"the weights have {min(self._left)}, which the network does not ({len(self._left)} such)")


def kernel(weight: np.ndarray) -> np.ndarray:
    """PyTorch's `[(1,)o,i,k,k]` as `[k,k,i,o]`."""
    return weight.reshape(weight.shape[-4:]).transpose(2, 3, 1, 0)


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

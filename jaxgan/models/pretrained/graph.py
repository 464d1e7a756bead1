"""What the readers of published restoration networks share: 3x3 convolutions, and graphs of ncnn that are followed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxgan.errors import UserError
from jaxgan.models.pretrained.names import Names, kernel
from jaxgan.weights.ncnn import Layer, Network

# layer parameters by number
SIZES = (0, 6)  # outputs and weights of a convolution
CONV = {1: 3, 4: 1, 5: 1}  # kernel, padding, with a bias


def convolution(
    names: Names, name: str, inputs: int | None = None, features: int | None = None, size: int = 3
) -> dict[str, np.ndarray]:
    """A convolution of `size` x `size`; None: whatever it has. Raises UserError if it is missing or another one."""
    weight, bias = names.take(f"{name}.weight"), names.take(f"{name}.bias")
    fits = weight.ndim == 4 and weight.shape[2:] == (size, size) and bias.shape == weight.shape[:1]
    if not fits or inputs not in (None, weight.shape[1]) or features not in (None, weight.shape[0]):
        wanted = (features or "any", inputs or "any", size, size)
        raise UserError(f"the weights {name} are of shape {weight.shape}, bias {bias.shape}; expected {wanted}")
    return {"kernel": kernel(weight), "bias": bias}


class Graph:
    """A graph's layers one by one, each of which must be the expected one; the weights by their published names."""

    def __init__(self, network: Network, family: str):
        """`family` is the network that errors speak of."""
        self.tensors: dict[str, np.ndarray] = {}
        self._network, self._family, self._same = network, family, dict[str, str]()
        self._layers: list[Layer] = []  # the next one last
        for layer in network.layers:
            if layer.kind == "Split" and len(layer.inputs) == 1:  # its outputs are its input
                self._same.update(dict.fromkeys(layer.outputs, self._origin(layer.inputs[0])))
            else:
                self._layers.append(layer)
        self._layers.reverse()

    @property
    def following(self) -> Layer | None:
        """The layer that would be taken next."""
        return self._layers[-1] if self._layers else None

    def take(
        self,
        kind: str,
        inputs: tuple[str, ...],
        params: Mapping[int, Any],
        *,
        ignored: tuple[int, ...] = (),
        weights: Mapping[str, str] | None = None,
    ) -> str:
        """The output of the next layer. Raises UserError for another one than described.

        `ignored` are the numbers of parameters that may be any; `weights` names the layer's tensors in the state dict.
        """
        if not self._layers:
            raise UserError(f"the graph ends where that of {self._family} has a {kind}")
        layer = self._layers.pop()
        found = {key: value for key, value in layer.params.items() if key not in ignored}
        same = tuple(map(self._origin, layer.inputs)) == inputs and len(layer.outputs) == 1
        if layer.kind != kind or not same or found != dict(params):
            raise UserError(f"{layer.name} is not the {kind} that the graph of {self._family} has there")
        for part, name in (weights or {}).items():
            self.tensors[name] = self._network.tensors[f"{layer.name}.{part}"]
        return layer.outputs[0]

    def conv(self, name: str, x: str, activation: Mapping[int, Any] | None = None) -> str:
        """A 3x3 convolution of x, whose weights are called `name`."""
        weights = {part: f"{name}.{part}" for part in ("weight", "bias")}
        return self.take("Convolution", (x,), {**CONV, **(activation or {})}, ignored=SIZES, weights=weights)

    def finish(self) -> None:
        """Raises UserError if layers are left."""
        if self._layers:
            raise UserError(f"the graph goes on with {self._layers[-1].name}, where that of {self._family} ends")

    def _origin(self, name: str) -> str:
        return self._same.get(name, name)

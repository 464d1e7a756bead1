"""The Inception-v3 of FID: the TensorFlow graph of 2015-12-05, in the layout of the published PyTorch file.

Average pooling ignores the padding, the last block uses maximum pooling, and images are resized as in TensorFlow 1.
Batch norm is folded into the convolutions. Names are those of the published file.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxgan.errors import UserError
from jaxgan.game import Array
from jaxgan.layers.conv import Geometry, conv
from jaxgan.weights.schema import checked

SIZE = 299  # pixels of a side
EPSILON = 1e-3  # of the folded batch norm
CLASSES = 1008


class _Convolution(nn.Module):
    """Convolution, bias and ReLU; `pool` averages after the convolution, which is cheaper than before it."""

    features: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    padding: tuple[int, int] = (0, 0)
    pool: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Array:
        shape = (*self.kernel, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.he_normal(), shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        above, beside = self.padding
        geometry = Geometry((self.stride,) * 2, ((above, above), (beside, beside)), 1, (x.shape[1], x.shape[2]))
        y = conv(x, kernel, geometry)
        return nn.relu((average_pool(y) if self.pool else y) + bias)


class _InceptionA(nn.Module):
    """35 pixels: 1x1, 5x5, two 3x3, pooled."""

    pooled: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        five = _Convolution(48, name="branch5x5_1")(x)
        three = _Convolution(64, name="branch3x3dbl_1")(x)
        three = _Convolution(96, (3, 3), padding=(1, 1), name="branch3x3dbl_2")(three)
        branches = [
            _Convolution(64, name="branch1x1")(x),
            _Convolution(64, (5, 5), padding=(2, 2), name="branch5x5_2")(five),
            _Convolution(96, (3, 3), padding=(1, 1), name="branch3x3dbl_3")(three),
            _Convolution(self.pooled, pool=True, name="branch_pool")(x),
        ]
        return jnp.concatenate(branches, axis=-1)


class _InceptionB(nn.Module):
    """35 to 17 pixels."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        three = _Convolution(64, name="branch3x3dbl_1")(x)
        three = _Convolution(96, (3, 3), padding=(1, 1), name="branch3x3dbl_2")(three)
        branches = [
            _Convolution(384, (3, 3), stride=2, name="branch3x3")(x),
            _Convolution(96, (3, 3), stride=2, name="branch3x3dbl_3")(three),
            max_pool(x),
        ]
        return jnp.concatenate(branches, axis=-1)


class _InceptionC(nn.Module):
    """17 pixels: 1x1, one and two pairs of 1x7 and 7x1, pooled."""

    width: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        wide, tall = {"kernel": (1, 7), "padding": (0, 3)}, {"kernel": (7, 1), "padding": (3, 0)}
        once = _Convolution(self.width, name="branch7x7_1")(x)
        once = _Convolution(self.width, **wide, name="branch7x7_2")(once)
        twice = _Convolution(self.width, name="branch7x7dbl_1")(x)
        for index, kind in enumerate((tall, wide, tall), 2):
            twice = _Convolution(self.width, **kind, name=f"branch7x7dbl_{index}")(twice)
        branches = [
            _Convolution(192, name="branch1x1")(x),
            _Convolution(192, **tall, name="branch7x7_3")(once),
            _Convolution(192, **wide, name="branch7x7dbl_5")(twice),
            _Convolution(192, pool=True, name="branch_pool")(x),
        ]
        return jnp.concatenate(branches, axis=-1)


class _InceptionD(nn.Module):
    """17 to 8 pixels."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        three = _Convolution(192, name="branch3x3_1")(x)
        seven = _Convolution(192, name="branch7x7x3_1")(x)
        seven = _Convolution(192, (1, 7), padding=(0, 3), name="branch7x7x3_2")(seven)
        seven = _Convolution(192, (7, 1), padding=(3, 0), name="branch7x7x3_3")(seven)
        branches = [
            _Convolution(320, (3, 3), stride=2, name="branch3x3_2")(three),
            _Convolution(192, (3, 3), stride=2, name="branch7x7x3_4")(seven),
            max_pool(x),
        ]
        return jnp.concatenate(branches, axis=-1)


class _InceptionE(nn.Module):
    """8 pixels: 1x1, split 3x3, split double 3x3, pooled by the mean or by the maximum."""

    by_maximum: bool

    @nn.compact
    def __call__(self, x: Array) -> Array:
        three = _Convolution(384, name="branch3x3_1")(x)
        double = _Convolution(448, name="branch3x3dbl_1")(x)
        double = _Convolution(384, (3, 3), padding=(1, 1), name="branch3x3dbl_2")(double)
        if self.by_maximum:
            pooled = _Convolution(192, name="branch_pool")(max_pool(x, stride=1, padding=1))
        else:
            pooled = _Convolution(192, pool=True, name="branch_pool")(x)
        branches = [
            _Convolution(320, name="branch1x1")(x),
            _Convolution(384, (1, 3), padding=(0, 1), name="branch3x3_2a")(three),
            _Convolution(384, (3, 1), padding=(1, 0), name="branch3x3_2b")(three),
            _Convolution(384, (1, 3), padding=(0, 1), name="branch3x3dbl_3a")(double),
            _Convolution(384, (3, 1), padding=(1, 0), name="branch3x3dbl_3b")(double),
            pooled,
        ]
        return jnp.concatenate(branches, axis=-1)


class Inception(nn.Module):
    """Images `[B,299,299,3]` of 0 to 255 to features `[B,2048]` and class logits `[B,1008]` without their bias.

    The logits without bias are what the Inception score is computed from (Salimans et al. 2016, as published).
    """

    @nn.compact
    def __call__(self, images: Array) -> tuple[Array, Array]:
        """Features and logits."""
        x = (images - 128.0) / 128.0
        x = _Convolution(32, (3, 3), stride=2, name="Conv2d_1a_3x3")(x)
        x = _Convolution(32, (3, 3), name="Conv2d_2a_3x3")(x)
        x = _Convolution(64, (3, 3), padding=(1, 1), name="Conv2d_2b_3x3")(x)
        x = _Convolution(80, name="Conv2d_3b_1x1")(max_pool(x))
        x = max_pool(_Convolution(192, (3, 3), name="Conv2d_4a_3x3")(x))
        for letter, pooled in zip("bcd", (32, 64, 64)):
            x = _InceptionA(pooled, name=f"Mixed_5{letter}")(x)
        x = _InceptionB(name="Mixed_6a")(x)
        for letter, width in zip("bcde", (128, 160, 160, 192)):
            x = _InceptionC(width, name=f"Mixed_6{letter}")(x)
        x = _InceptionD(name="Mixed_7a")(x)
        x = _InceptionE(False, name="Mixed_7b")(x)
        x = _InceptionE(True, name="Mixed_7c")(x)
        features = x.mean(axis=(1, 2))
        kernel = self.param("fc", nn.initializers.lecun_normal(), (x.shape[-1], CLASSES), jnp.float32)
        return features, features @ kernel


def from_torch(tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The params `{"params": ...}` of the published state dict, batch norm folded in.

    Raises UserError for a tensor that is missing, of another shape, or unused.
    """
    used: set[str] = set()
    params: dict[str, Any] = {}

    def take(name: str, *shape: int) -> np.ndarray:
        if name not in tensors:
            raise UserError(f"the weights of Inception lack {name}")
        used.add(name)
        return checked(name, tensors[name], shape, of="the weights of Inception")

    for path, shape in _shapes().items():
        *parents, leaf = path
        if leaf == "bias":
            continue
        if leaf == "fc":
            params["fc"] = take("fc.weight", *shape[::-1]).T
            if "fc.bias" in tensors:  # not used, but its shape is checked
                take("fc.bias", CLASSES)
            continue
        prefix = ".".join(parents)
        height, width, inputs, features = shape
        weight = take(f"{prefix}.conv.weight", features, inputs, height, width)
        mean, var, bias = (take(f"{prefix}.bn.{name}", features) for name in ("running_mean", "running_var", "bias"))
        if var.min() < 0:
            raise UserError(f"the weights of Inception: {prefix}.bn.running_var has variances below 0, expected none")
        scale = 1.0 / np.sqrt(var + EPSILON)
        if f"{prefix}.bn.weight" in tensors:
            scale *= take(f"{prefix}.bn.weight", features)
        node = params
        for parent in parents:
            node = node.setdefault(parent, {})
        node["kernel"], node["bias"] = weight.transpose(2, 3, 1, 0) * scale, bias - mean * scale
    left = sorted(name for name in tensors if name not in used and not name.endswith("num_batches_tracked"))
    if left:
        raise UserError(f"the weights of Inception have {left[0]}, which the network does not ({len(left)} such)")
    return {"params": params}


@functools.cache
def _shapes() -> dict[tuple[str, ...], tuple[int, ...]]:
    """The shapes of all params by path."""
    import jax

    image = jax.ShapeDtypeStruct((1, SIZE, SIZE, 3), jnp.float32)
    tree = jax.eval_shape(Inception().init, jax.random.key(0), image)["params"]
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {tuple(step.key for step in path): leaf.shape for path, leaf in leaves}


def resize(images: Array) -> Array:
    """`[B,h,w,c]` to `[B,299,299,c]`, bilinear as in TensorFlow 1: aligned at the first corner, no antialiasing."""
    rows, columns = (jnp.asarray(_interpolation(length)) for length in images.shape[1:3])
    images = jnp.einsum("oh,bhwc->bowc", rows, images, precision=lax.Precision.HIGHEST)
    return jnp.einsum("pw,bowc->bopc", columns, images, precision=lax.Precision.HIGHEST)


def _interpolation(length: int) -> np.ndarray:
    """The matrix `[299,length]` that resizes one axis."""
    position = np.arange(SIZE, dtype=np.float32) * np.float32(length / SIZE)
    low = np.floor(position).astype(int)
    share = position - low
    matrix = np.zeros((SIZE, length), np.float32)
    np.add.at(matrix, (np.arange(SIZE), low), 1.0 - share)
    np.add.at(matrix, (np.arange(SIZE), np.minimum(low + 1, length - 1)), share)
    return matrix


def max_pool(x: Array, *, stride: int = 2, padding: int = 0) -> Array:
    """Maximum pooling over 3x3 pixels."""
    window, strides = (1, 3, 3, 1), (1, stride, stride, 1)
    pads = ((0, 0), (padding,) * 2, (padding,) * 2, (0, 0))
    return lax.reduce_window(x, -jnp.inf, lax.max, window, strides, pads)


def average_pool(x: Array) -> Array:
    """Average pooling over 3x3 pixels at stride 1, without the padding."""

    def total(x: Array, axis: int) -> Array:
        padded = jnp.pad(x, [(1, 1) if each == axis else (0, 0) for each in range(4)])
        return sum(
            (lax.slice_in_dim(padded, start, start + x.shape[axis], axis=axis) for start in (1, 2)),
            lax.slice_in_dim(padded, 0, x.shape[axis], axis=axis),
        )

    counts = [np.convolve(np.ones(length), np.ones(3), "same") for length in x.shape[1:3]]
    share = jnp.asarray(1.0 / np.outer(*counts), x.dtype)[None, :, :, None]
    return total(total(x, 1), 2) * share

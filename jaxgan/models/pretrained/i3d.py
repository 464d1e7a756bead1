"""I3D (Carreira and Zisserman 2017, fig. 3): Inception-v1 inflated in time, trained on Kinetics-400.

Its 400 logits are the features of the Frechet video distance (Unterthiner et al. 2018). Padding is TensorFlow's "same",
and batch norm is folded into the convolutions. `jaxgan.models.pretrained.i3d_files` reads the weights.
"""

from __future__ import annotations

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from jaxgan.errors import UserError
from jaxgan.game import Array
from jaxgan.layers.conv import Geometry, conv

SIZE = 224  # pixels of a side
CLASSES = 400
LEAST_FRAMES = 9  # leaves two time steps for the last mean, which takes pairs
NARROW = 32  # up to this many channels, frames are concatenated before they are convolved (on CPU)

BLOCKS = {  # features of the branches: 1x1; 1x1 and 3x3; again 1x1 and 3x3; pooling and 1x1
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}
BRANCHES = {"b0": 1, "b1a": 1, "b1b": 3, "b2a": 1, "b2b": 3, "b3b": 1}  # kernel sizes


class _Unit(nn.Module):
    """A convolution over time and space, bias and ReLU."""

    features: int
    kernel: int = 1  # size in time and space
    stride: int = 1

    @nn.compact
    def __call__(self, x: Array) -> Array:
        shape = (*(self.kernel,) * 3, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.he_normal(), shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        return nn.relu(convolution(x, kernel, self.stride) + bias)


class _Block(nn.Module):
    """Four parallel branches, concatenated in the order of BRANCHES."""

    widths: tuple[int, ...]

    @nn.compact
    def __call__(self, x: Array) -> Array:
        def unit(name: str, x: Array) -> Array:
            return _Unit(self.widths[list(BRANCHES).index(name)], BRANCHES[name], name=name)(x)

        branches = [
            unit("b0", x),
            unit("b1b", unit("b1a", x)),
            unit("b2b", unit("b2a", x)),
            unit("b3b", max_pool(x, (3, 3, 3), (1, 1, 1))),
        ]
        return jnp.concatenate(branches, axis=-1)


class I3D(nn.Module):
    """Clips `[B,T,224,224,3]` in [-1, 1], of at least 9 frames, to logits `[B,400]` of the classes of Kinetics."""

    @nn.compact
    def __call__(self, clips: Array) -> Array:
        """The mean of the logits over time. Raises UserError for clips of another size or of too few frames."""
        if clips.shape[1] < LEAST_FRAMES or clips.shape[2:] != (SIZE, SIZE, 3):
            raise UserError(
                f"I3D: got {clips.shape[1]} frames of shape {clips.shape[2:]}, expected at least {LEAST_FRAMES} frames "
                f"of {SIZE} x {SIZE} pixels in colour"
            )
        x = _Unit(64, 7, 2, name="Conv3d_1a_7x7")(clips)
        x = max_pool(x, (1, 3, 3), (1, 2, 2))
        x = _Unit(64, name="Conv3d_2b_1x1")(x)
        x = _Unit(192, 3, name="Conv3d_2c_3x3")(x)
        x = max_pool(x, (1, 3, 3), (1, 2, 2))
        for name, widths in BLOCKS.items():
            if name == "Mixed_4b":
                x = max_pool(x, (3, 3, 3), (2, 2, 2))
            elif name == "Mixed_5b":
                x = max_pool(x, (2, 2, 2), (2, 2, 2))
            x = _Block(widths, name=name)(x)
        x = x.mean(axis=(2, 3))
        pairs = (x[:, :-1] + x[:, 1:]) / 2.0  # the published mean of two frames at stride 1
        return nn.Dense(CLASSES, name="logits")(pairs.mean(axis=1))


def convolution(x: Array, kernel: Array, stride: int = 1) -> Array:
    """y `[B,t,h,w,o]` of x `[B,T,H,W,i]` and a kernel `[k,k,k,i,o]`, with TensorFlow's "same" padding.

    On CPU it is computed by convolutions of frames: XLA's 3-D convolutions are several times slower there.
    """
    if kernel.shape[:3] == (1, 1, 1) and stride == 1:
        return x @ kernel[0, 0, 0]

    def native(x: Array, kernel: Array) -> Array:
        layout = ("NDHWC", "DHWIO", "NDHWC")
        return lax.conv_general_dilated(x, kernel, (stride,) * 3, "SAME", dimension_numbers=layout)

    return lax.platform_dependent(x, kernel, cpu=functools.partial(_by_frames, stride=stride), default=native)


def _by_frames(x: Array, kernel: Array, stride: int) -> Array:
    edge, size = kernel.shape[0], (x.shape[2], x.shape[3])
    (before_and_after, *space) = lax.padtype_to_pads(x.shape[1:4], kernel.shape[:3], (stride,) * 3, "SAME")
    padded = jnp.pad(x, ((0, 0), before_and_after, *((0, 0),) * 3))
    frames = -(-x.shape[1] // stride)
    geometry = Geometry((stride,) * 2, (space[0], space[1]), 1, size)
    taps = [lax.slice_in_dim(padded, tap, tap + (frames - 1) * stride + 1, stride, 1) for tap in range(edge)]

    def one(x: Array, kernel: Array) -> Array:
        y = conv(x.reshape(-1, *x.shape[2:]), kernel, geometry)
        return y.reshape(*x.shape[:2], *y.shape[1:])

    if x.shape[-1] > NARROW:
        return functools.reduce(jnp.add, (one(tap, kernel[index]) for index, tap in enumerate(taps)))
    merged = kernel.transpose(1, 2, 0, 3, 4).reshape(*kernel.shape[1:3], -1, kernel.shape[-1])
    return one(jnp.concatenate(taps, axis=-1), merged)


def max_pool(x: Array, window: tuple[int, int, int], strides: tuple[int, int, int]) -> Array:
    """The maximum of each window of x `[B,T,H,W,C]`, one axis after another; x must not be negative."""
    pads = lax.padtype_to_pads(x.shape[1:4], window, strides, "SAME")
    for axis, (size, stride, pad) in enumerate(zip(window, strides, pads), start=1):
        if size == 1:
            continue
        reached = -(-x.shape[axis] // stride) - 1
        padded = jnp.pad(x, [pad if each == axis else (0, 0) for each in range(5)])
        parts = [lax.slice_in_dim(padded, at, at + reached * stride + 1, stride, axis) for at in range(size)]
        x = functools.reduce(jnp.maximum, parts)
    return x


def resize(clips: Array) -> Array:
    """`[B,T,h,w,c]` to `[B,T,224,224,c]`, bilinear between pixel centres, without antialiasing.

    This is PyTorch's interpolate with `align_corners` False, which published video distances use.
    """
    shape = (*clips.shape[:2], SIZE, SIZE, clips.shape[-1])
    return jax.image.resize(clips, shape, "linear", antialias=False, precision=lax.Precision.HIGHEST)

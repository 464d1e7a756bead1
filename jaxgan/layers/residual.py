"""Residual blocks that double or halve an image (Miyato et al. 2018, appendix B.4; Brock et al. 2019, appendix B)."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan.layers.conv import Conv, Geometry, Initializer, biased, conv, conv_transpose
from jaxgan.layers.frames import by_frame
from jaxgan.layers.labels import Condition
from jaxgan.layers.normalization import batch_norm
from jaxgan.layers.resampling import box_downsample, box_upsample
from jaxgan.layers.spectral import spectral_norm

RESAMPLED = Geometry((2, 2), ((1, 1), (1, 1)), 1, (0, 0))  # kernel 4


def conv_doubled(x: Float[Array, "b *t h w i"], kernel: Float[Array, "3 3 i o"]) -> Float[Array, "b *t h2 w2 o"]:
    """The convolution of the image doubled by pixel repetition, in the dtype of x.

    Computed as one transposed convolution, with kernel values of equal pixels summed: 4 products per pixel, not 9.
    """
    w = _widened(kernel[::-1, ::-1]).transpose(0, 1, 3, 2).astype(x.dtype)
    geometry = RESAMPLED._replace(size=(2 * x.shape[-3], 2 * x.shape[-2]))
    return by_frame(lambda x: conv_transpose(x, w, geometry), x)


def conv_halved(x: Float[Array, "b *t h w i"], kernel: Float[Array, "3 3 i o"]) -> Float[Array, "b *t h2 w2 o"]:
    """The convolution followed by the mean of each 2x2 block, in the dtype of x; sides must be even.

    Computed as one convolution of stride 2 with a 4x4 kernel: 16 products per pixel instead of 36.
    """
    w = (_widened(kernel) / 4).astype(x.dtype)
    geometry = RESAMPLED._replace(size=(x.shape[-3], x.shape[-2]))
    return by_frame(lambda x: conv(x, w, geometry), x)


class UpConv(nn.Module):
    """`conv_doubled` with the params of `Conv`: `[b,h,w,i] -> [b,2h,2w,features]`."""

    features: int
    kernel_init: Initializer = nn.initializers.lecun_normal()
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b *t h w i"]) -> Float[Array, "b *t h2 w2 o"]:
        """The convolution of the doubled image."""
        kernel = self.param("kernel", self.kernel_init, (3, 3, x.shape[-1], self.features), jnp.float32)
        return biased(self, conv_doubled(x.astype(self.dtype), kernel))


class DownConv(nn.Module):
    """`conv_halved` with the params of `Conv`: `[b,h,w,i] -> [b,h/2,w/2,features]`."""

    features: int
    kernel_init: Initializer = nn.initializers.lecun_normal()
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b *t h w i"]) -> Float[Array, "b *t h2 w2 o"]:
        """The halved convolution; sides must be even."""
        kernel = self.param("kernel", self.kernel_init, (3, 3, x.shape[-1], self.features), jnp.float32)
        return biased(self, conv_halved(x.astype(self.dtype), kernel))


class UpBlock(nn.Module):
    """The generator's block: norm, ReLU, doubling, 3x3, norm, ReLU, 3x3, plus a 1x1 convolution of the doubled x."""

    features: int
    num_classes: int = 0  # if the condition is a label or shares of classes
    spectral: bool = False
    kernel_init: Initializer = nn.initializers.lecun_normal()
    shortcut_init: Initializer = nn.initializers.lecun_normal()
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "b *t h w i"], condition: Condition | None, *, train: bool
    ) -> Float[Array, "b *t h2 w2 o"]:
        """`condition`: determines the gains and biases of the norms; None: the norms have their own."""

        def normed(x: Array, name: str) -> Array:
            classes, spectral = self.num_classes, self.spectral
            return nn.relu(
                batch_norm(
                    x, condition, train=train, name=name, num_classes=classes, spectral=spectral, dtype=self.dtype
                )
            )

        def convolved(layer: nn.Module, x: Array) -> Array:
            return spectral_norm(layer, x, train=train, wanted=self.spectral)

        main = {"kernel_init": self.kernel_init, "dtype": self.dtype}
        y = convolved(UpConv(self.features, name="conv_0", **main), normed(x, "norm_0"))
        y = convolved(Conv(self.features, name="conv_1", **main), normed(y, "norm_1"))
        shortcut = Conv(self.features, 1, kernel_init=self.shortcut_init, dtype=self.dtype, name="shortcut")
        return y + box_upsample(convolved(shortcut, x))  # a 1x1 convolution commutes with doubling and is cheaper first


class DownBlock(nn.Module):
    """The discriminator's block: ReLU, 3x3, ReLU, 3x3, means of 2x2 blocks, plus a 1x1 convolution of the means of x.

    The first block of a network gets the image itself, so it starts without ReLU. The shortcut of a block that keeps
    size and width is the identity.
    """

    features: int
    hidden: int | None = None  # channels between the convolutions; None: those of x
    halves: bool = True
    first: bool = False
    spectral: bool = False
    kernel_init: Initializer = nn.initializers.lecun_normal()
    shortcut_init: Initializer = nn.initializers.lecun_normal()
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b *t h w i"], *, train: bool) -> Float[Array, "b *t h2 w2 o"]:
        """The block applied to x; if it halves, sides must be even."""

        def convolved(layer: nn.Module, x: Array) -> Array:
            return spectral_norm(layer, x, train=train, wanted=self.spectral)

        main = {"kernel_init": self.kernel_init, "dtype": self.dtype}
        y = x if self.first else nn.relu(x)
        y = convolved(Conv(self.hidden or x.shape[-1], name="conv_0", **main), y)
        last = DownConv if self.halves else Conv
        y = convolved(last(self.features, name="conv_1", **main), nn.relu(y))
        if self.halves:
            x = box_downsample(x)
        if self.halves or x.shape[-1] != self.features:
            shortcut = Conv(self.features, 1, kernel_init=self.shortcut_init, dtype=self.dtype, name="shortcut")
            x = convolved(shortcut, x)
        return y + x


def _widened(kernel: Array) -> Array:
    """The 4x4 kernel that is the sum of the 3x3 kernel at its four positions."""
    rows = jnp.pad(kernel, ((0, 1), (0, 0), (0, 0), (0, 0))) + jnp.pad(kernel, ((1, 0), (0, 0), (0, 0), (0, 0)))
    return jnp.pad(rows, ((0, 0), (0, 1), (0, 0), (0, 0))) + jnp.pad(rows, ((0, 0), (1, 0), (0, 0), (0, 0)))

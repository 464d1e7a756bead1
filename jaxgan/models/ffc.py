"""LaMa (Suvorov et al. 2022): a residual network of fast Fourier convolutions for inpainting large holes."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxgan.config.domains import Count, Given, Share
from jaxgan.game import Array
from jaxgan.layers.conv import Conv, ConvTranspose
from jaxgan.layers.fourier import FastFourierConv
from jaxgan.layers.normalization import BatchNorm
from jaxgan.layers.padding import padded_to, reflect_pad

HALVINGS = 3


class Generator(nn.Module):
    """Conditions `[B,H,W,C']` to images `[B,H,W,C]` in [-1, 1], of any height and width.

    Three halvings, each of which doubles the width, are followed by the blocks, in which the last `ratio` of the
    channels are global, and by three doublings. Images are padded by reflection to multiples of `multiple` pixels.
    The range of LaMa's sigmoid is mapped from [0, 1] to [-1, 1].
    """

    channels: Given[Count]
    base_width: Count = 64
    blocks: Count = 9
    ratio: Share = 0.75
    dtype: DTypeLike = jnp.float32

    scale = 1
    multiple = 1 << HALVINGS  # pixels: the halvings of two crops of an image agree at multiples of this
    receptive_field = None  # the whole image

    @nn.compact
    def __call__(self, condition: Array, label: Array | None = None, *, train: bool) -> Array:
        """The images; `train`: uses the statistics of the batch.

        Raises UserError for a ratio that leaves no local or no global channels.
        """
        del label
        height, width = condition.shape[1:3]
        bare: dict[str, Any] = {"padding": 0, "use_bias": False, "dtype": self.dtype}
        x = reflect_pad(padded_to(condition.astype(self.dtype), self.multiple), 3)
        x = self._normed(Conv(self.base_width, 7, name="stem", **bare)(x), "stem_norm", train)
        for index in range(HALVINGS):
            down = Conv(self.base_width << index + 1, 3, stride=2, name=f"down_{index}", **bare)
            x = self._normed(down(reflect_pad(x, 1)), f"down_{index}_norm", train)
        for index in range(self.blocks):
            x = Block(self.ratio, self.dtype, name=f"block_{index}")(x, train=train)
        for index in reversed(range(HALVINGS)):
            up = ConvTranspose(self.base_width << index, 3, name=f"up_{index}", **bare)
            x = self._normed(up(x)[:, 1:, 1:], f"up_{index}_norm", train)
        image = Conv(self.channels, 7, padding=0, dtype=self.dtype, name="image")(reflect_pad(x, 3))
        return jnp.tanh(image.astype(jnp.float32) / 2)[:, :height, :width]  # 2 sigmoid - 1

    def _normed(self, x: Array, name: str, train: bool) -> Array:
        return nn.relu(BatchNorm(dtype=self.dtype, name=name)(x, train=train))


class Block(nn.Module):
    """x + F(x), where F is twice a fast Fourier convolution, batch norm and ReLU: `[b,h,w,c] -> [b,h,w,c]`."""

    ratio: Share
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        """`train`: uses the statistics of the batch."""
        y = x
        for index in range(2):
            y = FastFourierConv(x.shape[-1], self.ratio, self.dtype, name=f"conv_{index}")(y, train=train)
            y = nn.relu(BatchNorm(dtype=self.dtype, name=f"norm_{index}")(y, train=train))
        return x + y

"""Optical flow by a pyramid of small networks (Ranjan & Black 2017, "SPyNet")."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxgan.config.domains import Count
from jaxgan.images.resizing import resize
from jaxgan.layers.conv import Conv
from jaxgan.layers.resampling import box_downsample
from jaxgan.layers.warping import warp
from jaxgan.models.srresnet import he

KERNEL = 7
MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's colours in [0, 1]

Frame = Float[Array, "b h w c"]


class SPyNet(nn.Module):
    """Two frames `[B,h,w,C]` to the flow `[B,h,w,2]` that warps the other frame to the first.

    From coarse to fine, each level adds a correction to the flow of the level before, computed from the first frame
    and from the other frame, warped by that flow. At initialisation there is no motion; the network is trained with the
    network that uses it. Frames whose sides are not multiples of the coarsest pixel are padded with their edges.

    The published network has six levels and was trained separately. With `published`, frames are prepared as its
    weights require: colours are normalised by ImageNet's mean and deviation, sides are stretched to multiples of the
    coarsest pixel, and flow is enlarged with aligned corners.
    """

    levels: Count = 3
    widths: tuple[Count, ...] = (32, 64, 32, 16)
    published: bool = False
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, frame: Float[Array, "b h w c"], other: Float[Array, "b h w c"]) -> Float[Array, "b h w 2"]:
        """The flow in pixels, to the right and down, float32."""
        height, width = frame.shape[1:3]
        down, right = (-side % 2 ** (self.levels - 1) for side in (height, width))
        pair = [self._prepared(each.astype(jnp.float32), down, right) for each in (frame, other)]
        pyramid = [pair]
        for _ in range(1, self.levels):
            pyramid.append([box_downsample(each) for each in pyramid[-1]])
        flow = jnp.zeros((*pyramid[-1][0].shape[:3], 2))
        for level, (first, second) in enumerate(reversed(pyramid)):
            if level:
                flow = 2 * (_doubled(flow) if self.published else resize(flow, *first.shape[1:3], method="bilinear"))
            x = jnp.concatenate([first, warp(second, flow), flow], axis=-1).astype(self.dtype)
            for index, features in enumerate(self.widths):
                x = nn.relu(Conv(features, KERNEL, kernel_init=he, dtype=self.dtype, name=f"level_{level}_{index}")(x))
            last = Conv(2, KERNEL, kernel_init=nn.initializers.zeros, dtype=self.dtype, name=f"level_{level}_flow")
            flow = flow + last(x).astype(jnp.float32)
        if not self.published:
            return flow[:, :height, :width]
        stretched = np.array([(width + right) / width, (height + down) / height], np.float32)
        return resize(flow, height, width, method="bilinear", antialias=False) / stretched

    def _prepared(self, frame: Frame, down: int, right: int) -> Frame:
        """The frame that the pyramid starts with, larger by `down` and `right` pixels."""
        if not self.published:
            return jnp.pad(frame, ((0, 0), (0, down), (0, right), (0, 0)), mode="edge")
        colours = ((frame + 1) / 2 - np.array(MEAN, np.float32)) / np.array(SPREAD, np.float32)
        return resize(colours, frame.shape[1] + down, frame.shape[2] + right, method="bilinear")


def _doubled(flow: Float[Array, "b h w 2"]) -> Float[Array, "b h2 w2 2"]:
    """Bilinear enlargement by 2 with aligned corners."""
    down, right = (_between(side) for side in flow.shape[1:3])
    return jnp.einsum("bhwc,yh,xw->byxc", flow, down, right, precision="highest")


def _between(size: int) -> np.ndarray:
    """`[2 size, size]`: the weight of each old place in each new one."""
    place = np.linspace(0, size - 1, 2 * size)[:, None]
    return np.maximum(1 - np.abs(place - np.arange(size)), 0).astype(np.float32)

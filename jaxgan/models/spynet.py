"""Flow by a pyramid of small networks (Ranjan & Black 2017, "SPyNet")."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan.augment.resizing import resize
from jaxgan.domains import Count
from jaxgan.layers.conv import Conv
from jaxgan.layers.resampling import box_downsample
from jaxgan.layers.warping import warp
from jaxgan.models.srresnet import he

KERNEL = 7


class SPyNet(nn.Module):
    """Two frames `[B,h,w,C]` to the flow `[B,h,w,2]` by which the other one, warped, becomes the first.

    From coarse to fine, each level adds to the flow of the level before what it sees of the first frame and of the
    other one, warped by that flow. The published network has six levels and was trained by itself; this one begins
    with no motion and learns with what it is for. Frames whose sides are no multiples of the coarsest pixel go on
    beyond their border.
    """

    levels: Count = 3
    widths: tuple[Count, ...] = (32, 64, 32, 16)
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, frame: Float[Array, "b h w c"], other: Float[Array, "b h w c"]) -> Float[Array, "b h w 2"]:
        """In pixels to the right and down, float32."""
        height, width = frame.shape[1:3]
        coarsest = 2 ** (self.levels - 1)
        beyond = ((0, 0), (0, -height % coarsest), (0, -width % coarsest), (0, 0))
        pair = [jnp.pad(each.astype(jnp.float32), beyond, mode="edge") for each in (frame, other)]
        pyramid = [pair]
        for _ in range(1, self.levels):
            pyramid.append([box_downsample(each) for each in pyramid[-1]])
        flow = jnp.zeros((*pyramid[-1][0].shape[:3], 2))
        for level, (first, second) in enumerate(reversed(pyramid)):
            if level:
                flow = 2 * resize(flow, *first.shape[1:3], method="bilinear")
            x = jnp.concatenate([first, warp(second, flow), flow], axis=-1).astype(self.dtype)
            for index, features in enumerate(self.widths):
                x = nn.relu(Conv(features, KERNEL, kernel_init=he, dtype=self.dtype, name=f"level_{level}_{index}")(x))
            last = Conv(2, KERNEL, kernel_init=nn.initializers.zeros, dtype=self.dtype, name=f"level_{level}_flow")
            flow = flow + last(x).astype(jnp.float32)
        return flow[:, :height, :width]

"""Super-resolution of films by recurrent networks: the result for one frame helps with the next.

One step makes one frame. The state consists of features and of the last image, rearranged as channels of the small
frame, as in RLSP (Fuoli et al. 2019) and RRN (Isobe et al. 2020), or warped by flow first, as in FRVSR (Sajjadi et al.
2018).
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxgan.config.domains import Count, Given
from jaxgan.errors import UserError
from jaxgan.game import Network
from jaxgan.images.resizing import resize
from jaxgan.layers.conv import Conv
from jaxgan.layers.depth_to_space import depth_to_space, space_to_depth
from jaxgan.layers.repeat import by_step
from jaxgan.layers.warping import warp
from jaxgan.models.srresnet import Block, he

Memory = dict[str, Array]
Frame = Float[Array, "b h w c"]


class Recurrent(nn.Module):
    """Clips `[B,T,h,w,C]` to clips `[B,T,sh,sw,C]`, of any size and length; each clip is one shot.

    `step` makes one image from the frame, the frame before and the memory. The image is the bicubically enlarged frame
    plus the output of the network, which starts at zero and is not bounded. Without `stateful` every frame is treated
    as the first of a shot, for comparison.

    `flow`, such as a `spynet.SPyNet`, finds the motion between the two frames, by which the last image is warped. The
    features are not warped, which would cost as much as several convolutions on CPU. `flow` is trained with the
    generator; the loss `temporal.motion` also trains it directly.
    """

    channels: Given[Count]
    scale: Count = 4
    base_width: Count = 48
    blocks: Count = 6
    features: Count = 48  # channels of the memory
    stateful: bool = True
    flow: Network | None = None  # (frame, the one before) -> flow [B,h,w,2] back to it
    dtype: DTypeLike = jnp.float32

    clips = True  # not annotated, so that it is not a field
    delay = 0
    receptive_field = None

    def setup(self) -> None:
        """Makes the submodules: `enter`, `block_0` and so on, `memory` and `image`."""
        width, init = self.base_width, {"kernel_init": he, "dtype": self.dtype}
        self.enter = Conv(width, **init)
        self.block = [Block("classic", "none", self.dtype) for _ in range(self.blocks)]
        self.memory = Conv(self.features, **init)
        fine = self.channels * self.scale**2
        self.image = Conv(fine, kernel_init=nn.initializers.zeros, dtype=self.dtype)

    def __call__(
        self, condition: Float[Array, "b t h w c"], label: Array | None = None, *, train: bool
    ) -> Float[Array, "b t h2 w2 c"]:
        """The whole clip."""
        del label
        return by_step(self, condition, train=train)

    @nn.nowrap
    def start(self, frame: Frame) -> Memory:
        """The memory before the first frame of a shot."""
        place, fine = frame.shape[:-1], self.channels * self.scale**2
        return {
            "frame": frame.astype(jnp.float32),
            "features": jnp.zeros((*place, self.features), self.dtype),
            "image": jnp.zeros((*place, fine), self.dtype),
        }

    def step(self, frame: Frame, memory: Memory, *, train: bool = False) -> tuple[Frame, Memory]:
        """The image `[B,sh,sw,C]` of the next frame, and the memory after it."""
        if not self.stateful:
            memory = self.start(frame)
        last = memory["image"]
        if self.flow is not None:
            last = self._moved(last.astype(jnp.float32), self.motion(frame, memory["frame"]))
        seen = [frame, memory["frame"], memory["features"], last]
        x = nn.relu(self.enter(jnp.concatenate([each.astype(self.dtype) for each in seen], axis=-1)))
        for block in self.block:
            x = block(x, train=train)
        frame = frame.astype(jnp.float32)
        enlarged = resize(frame, self.scale * frame.shape[1], self.scale * frame.shape[2])
        fine = space_to_depth(enlarged, self.scale) + self.image(x).astype(jnp.float32)
        features = nn.relu(self.memory(x))
        memory = {"frame": frame, "features": features, "image": fine.astype(self.dtype)}
        return depth_to_space(fine, self.scale), memory

    def motion(self, frame: Frame, before: Frame) -> Float[Array, "b h w 2"]:
        """The flow from a frame back to the one before, in its pixels. Raises UserError without `flow`."""
        if self.flow is None:
            raise UserError("config.networks.generator.flow is missing, expected a section: temporal.motion trains it")
        flow: Any = self.flow
        found: Array = flow(frame, before)
        return found

    def _moved(self, image: Frame, flow: Array) -> Frame:
        """An image, stored as channels of small pixels, warped by a flow given in small pixels."""
        large = depth_to_space(image, self.scale)
        flow = self.scale * resize(flow, *large.shape[1:3], method="bilinear")
        return space_to_depth(warp(large, flow), self.scale)

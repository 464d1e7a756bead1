"""Super-resolution of whole clips by features that propagate in both directions (Chan et al. 2022, "BasicVSR++").

This network is sized for accelerators; for streams and CPUs, use `jaxgan.models.recurrent`.
"""

from __future__ import annotations

from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxgan.config.domains import Count, Given, NotNegative, Whole
from jaxgan.errors import UserError
from jaxgan.game import Network
from jaxgan.images.resizing import resize
from jaxgan.layers.conv import Conv
from jaxgan.layers.deformable import deformable_conv, warp_into_nothing
from jaxgan.layers.depth_to_space import depth_to_space
from jaxgan.layers.frames import by_frame
from jaxgan.layers.repeat import fold
from jaxgan.models.srresnet import Block

Align = Literal["deformable", "flow"]
Frames = Float[Array, "b t h w c"]
Maps = Float[Array, "b h w c"]
Memory = tuple[Array, Array, Array, Array]  # features of the last two frames, the last flow, the number of frames

SLOPE = 0.1
TAPS = 9
AROUND = 5  # blocks before the propagation, and as many after it


def leaky(x: Array) -> Array:
    """The activation of all layers except those of the residual blocks."""
    return nn.leaky_relu(x, SLOPE)


class Grid(nn.Module):
    """Clips `[B,T,h,w,C]` to clips `[B,T,sh,sw,C]`, where s is 1, 2 or 4; every frame sees all others.

    Features are propagated through the clip `passes` times backwards and as often forwards; each pass also sees the
    features that earlier passes computed for the frame. They are aligned by flow (`align` "flow"), or by a deformable
    convolution whose offsets are the flow plus a correction of at most `reach` pixels (section 3.2). With
    `second_order` they come from the last two frames (section 3.1). `flow` is a network such as `spynet.SPyNet`, which
    is trained with the generator. With `unit_range` the network itself works on [0, 1], like the published ones, so
    that its zero padding is black.
    """

    channels: Given[Count]
    flow: Network  # (frame, other) -> flow [B,h,w,2] from it to the other
    scale: Count = 4
    base_width: Count = 64
    blocks: Whole = 7  # of each pass
    passes: Count = 2
    bidirectional: bool = True  # False: forwards only
    second_order: bool = True
    align: Align = "deformable"
    groups: Count = 16  # of channels; each has its own offsets
    reach: NotNegative = 10.0
    unit_range: bool = False
    dtype: DTypeLike = jnp.float32

    clips = True
    receptive_field = None

    def setup(self) -> None:
        """Makes the submodules, named after the passes: `backward_1`, `forward_1`, `backward_2` and so on."""
        if self.scale not in (1, 2, 4):
            raise UserError(f"propagation: got scale {self.scale}, expected 1, 2 or 4")
        if self.align == "deformable" and (self.base_width % self.groups or self.groups % (1 + self.second_order)):
            expected = f"an {'even ' * self.second_order}divisor of base_width {self.base_width}"
            raise UserError(f"propagation: got groups {self.groups}, expected {expected}")
        width, kind = self.base_width, {"dtype": self.dtype}
        self.extract = _Blocks(width, AROUND, self.dtype)
        self.carry = {name: _Blocks(width, self.blocks, self.dtype) for name in self.names}
        if self.align == "deformable":
            given = (width, self.groups, self.reach, self.dtype)
            self.aligned = {name: _Alignment(*given) for name in self.names}
        self.reconstruct = _Blocks(width, AROUND, self.dtype)
        self.up = [Conv(4 * width, **kind) for _ in range(self.scale // 2)]
        self.fine = Conv(width, **kind)
        self.image = Conv(self.channels, kernel_init=nn.initializers.zeros, **kind)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the passes, in their order."""
        ways = ("backward", "forward") if self.bidirectional else ("forward",)
        return tuple(f"{way}_{number + 1}" for number in range(self.passes) for way in ways)

    def __call__(self, condition: Frames, label: Array | None = None, *, train: bool) -> Float[Array, "b t h2 w2 c"]:
        """The whole clip; `train` makes no difference."""
        del label, train
        shown = (condition + 1) / 2 if self.unit_range else condition
        spatial = by_frame(self.extract, shown.astype(self.dtype))
        flows = self._flows(condition.astype(jnp.float32))
        made = [spatial]
        for name in self.names:
            made.append(self._carried(name, made, flows[name.startswith("backward")]))
        return by_frame(self._images, condition, jnp.concatenate(made, axis=-1))

    def _flows(self, clip: Frames) -> tuple[Frames, Frames]:
        """The flow from each frame to the one before, and to the one after; zero if there is none."""
        flow: Any = self.flow
        first, second = clip[:, :-1], clip[:, 1:]
        none = jnp.zeros((clip.shape[0], 1, *clip.shape[2:4], 2))
        if clip.shape[1] == 1 and not self.is_initializing():
            return none, none
        if clip.shape[1] == 1:  # creates the params
            first = second = clip
        before, after = by_frame(flow, second, first), by_frame(flow, first, second)
        length = clip.shape[1]
        return (
            jnp.concatenate([none, before], axis=1)[:, :length],
            jnp.concatenate([after, none], axis=1)[:, :length],
        )

    def _carried(self, name: str, made: list[Frames], flow: Frames) -> Frames:
        """The features of a pass: frame by frame in its direction; `flow` is that to the frame before in the pass."""
        back = name.startswith("backward")
        frames = [jnp.moveaxis(each, 1, 0) for each in (*made, flow)]
        frames = [each[::-1] if back else each for each in frames]
        zero = jnp.zeros((made[0].shape[0], *made[0].shape[2:]), self.dtype)
        start = (zero, zero, jnp.zeros_like(frames[-1][0]), jnp.zeros((), jnp.int32))
        if self.is_initializing():  # creates the params; only the shape of the features matters
            self.advance(name, start, tuple(each[0] for each in frames))
            return jnp.zeros_like(made[0])
        free, tree = self.unbind()

        def step(memory: Memory, now: tuple[Array, ...]) -> tuple[Memory, Array]:
            found: tuple[Memory, Array] = free.apply(tree, name, memory, now, method="advance")
            return found

        _, features = fold(step, start, tuple(frames), unroll_on_cpu=True)
        return jnp.moveaxis(features[::-1] if back else features, 0, 1)

    def advance(self, name: str, memory: Memory, now: tuple[Array, ...]) -> tuple[Memory, Array]:
        """The memory and the features after one frame of a pass.

        `now` holds all features of the frame so far and the flow to the frame before in the pass; `memory` is that
        after the frame before.
        """
        *made, flow = now
        last, older, last_flow, number = memory
        further = jnp.where(number > 1, flow + warp_into_nothing(last_flow, flow), 0.0)
        moved, moved_older = (warp_into_nothing(x, each) for x, each in ((last, flow), (older, further)))
        if self.align == "deformable":
            seen = [moved, made[0], *([moved_older] if self.second_order else [])]
            sources, ways = ([last, older], [flow, further]) if self.second_order else ([last], [flow])
            moved = self.aligned[name](jnp.concatenate(sources, axis=-1), jnp.concatenate(seen, axis=-1), ways)
        elif self.second_order:
            moved = jnp.where(number > 1, 0.5, 1.0).astype(moved.dtype) * (moved + moved_older)
        moved = jnp.where(number > 0, moved, 0.0).astype(self.dtype)
        features = moved + self.carry[name](jnp.concatenate([*made, moved], axis=-1))
        return (features, last, flow, number + 1), features

    def _images(self, condition: Maps, features: Maps) -> Float[Array, "b h2 w2 c"]:
        """The images of single frames."""
        x = self.reconstruct(features)
        for up in self.up:
            x = leaky(depth_to_space(up(x), 2))
        height, width = (self.scale * side for side in condition.shape[1:3])
        enlarged = resize(condition.astype(jnp.float32), height, width, method="bilinear")
        added = self.image(leaky(self.fine(x))).astype(jnp.float32)
        return enlarged + (2 * added if self.unit_range else added)


class _Blocks(nn.Module):
    """A convolution with activation, then residual blocks without norms: `[b,h,w,i] -> [b,h,w,features]`."""

    features: int
    count: int
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x: Maps) -> Maps:
        """The features; maps may have any size."""
        x = leaky(Conv(self.features, dtype=self.dtype, name="enter")(x))
        for index in range(self.count):
            x = Block("classic", "none", self.dtype, name=f"block_{index}")(x, train=False)
        return x


class _Alignment(nn.Module):
    """A deformable convolution of features of one or two earlier frames (section 3.2, equations 3 to 6).

    Its offsets are the flow plus a correction, which a few convolutions compute from the warped features, the features
    of this frame and the flow.
    """

    features: int
    groups: int
    reach: float
    dtype: DTypeLike

    @nn.compact
    def __call__(self, sources: Maps, seen: Maps, flows: list[Float[Array, "b h w 2"]]) -> Maps:
        """`sources`: the earlier features, not warped; `seen`: input of the offsets; `flows`: one for each source."""
        x = jnp.concatenate([seen, *[flow.astype(self.dtype) for flow in flows]], axis=-1)
        for index in range(3):
            x = leaky(Conv(self.features, dtype=self.dtype, name=f"offset_{index}")(x))
        groups = self.groups
        last = Conv(3 * TAPS * groups, kernel_init=nn.initializers.zeros, dtype=self.dtype, name="offset_3")
        found = last(x).astype(jnp.float32)
        shape = found.shape[:-1]
        offset = self.reach * jnp.tanh(found[..., : 2 * TAPS * groups]).reshape(*shape, groups, TAPS, 2)
        weight = nn.sigmoid(found[..., 2 * TAPS * groups :]).reshape(*shape, groups, TAPS)
        way = jnp.stack([flow[..., ::-1] for flow in flows], axis=-2)  # down, to the right
        offset += jnp.repeat(way, groups // len(flows), axis=-2)[..., None, :]
        kernel = self.param("kernel", nn.initializers.he_normal(), (3, 3, sources.shape[-1], self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        moved = deformable_conv(sources, offset.swapaxes(3, 4), weight.swapaxes(3, 4), kernel)
        return moved + bias.astype(moved.dtype)

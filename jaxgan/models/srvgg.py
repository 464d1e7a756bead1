"""The compact network of Real-ESRGAN's film models: plain convolutions at the size of the condition (Wang et al. 2021).

Its authors call it SRVGGNetCompact. As in ESPCN (Shi et al. 2016), all convolutions run on the small image, and the
channels become pixels at the end; as in VDSR (Kim et al. 2016), the network learns only the difference to the enlarged
condition.
"""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import DTypeLike

from jaxgan.config.domains import Count, Given, Whole
from jaxgan.errors import UserError
from jaxgan.game import Array
from jaxgan.images.resizing import weights
from jaxgan.layers.conv import Conv, Initializer
from jaxgan.layers.depth_to_space import depth_to_space
from jaxgan.layers.prelu import START, PReLU

he = nn.initializers.variance_scaling(2 / (1 + START**2), "fan_in", "normal")
small = nn.initializers.variance_scaling(0.02, "fan_in", "normal")  # little is added at initialisation


class Generator(nn.Module):
    """Conditions `[B,h,w,C']` to images `[B,sh,sw,C]` in about [-1, 1], of any height and width; without norms.

    The image is the condition with its pixels repeated, plus the output of the network. If the scale is smaller than
    `upscale`, the network enlarges by `upscale`, and the image is then reduced bicubically. With `unit_range` the
    network itself works on [0, 1], like the published ones, so that its zero padding is black.
    """

    channels: Given[Count]
    scale: Count = 4
    upscale: Count | None = None  # None: the scale
    convs: Whole = 16  # convolutions between the first and the last one
    base_width: Count = 64
    unit_range: bool = False
    dtype: DTypeLike = jnp.float32

    @property
    def multiple(self) -> int:
        """Pixels between two places of the condition at which the network does the same."""
        return 1

    @property
    def features_scale(self) -> int:
        """Feature pixels along a side per condition pixel; the memory that tiles need follows from it."""
        return 1

    @property
    def receptive_field(self) -> int:
        """The number of condition pixels, on each side of its own, that an output pixel depends on."""
        enlarged = enlargement(self.scale, self.upscale)
        beyond = _shares(self.scale, enlarged)[:, [0, -1]].any()  # the pixels that one of the condition becomes
        return self.convs + 2 + int(beyond)

    @nn.compact
    def __call__(self, condition: Array, label: Array | None = None, *, train: bool) -> Array:
        """The images; `train` makes no difference. Raises UserError for an invalid scale or number of channels."""
        del label, train
        factor = enlargement(self.scale, self.upscale)
        given = (condition + 1) / 2 if self.unit_range else condition
        x = self._conv(self.base_width, he, "stem")(given.astype(self.dtype))
        x = PReLU(by_channel=True, name="stem_prelu")(x)
        for index in range(self.convs):
            x = self._conv(self.base_width, he, f"conv_{index}")(x)
            x = PReLU(by_channel=True, name=f"conv_{index}_prelu")(x)
        x = self._conv(self.channels * factor**2, small, "image")(x).astype(jnp.float32)
        kept = given[..., : self.channels].astype(jnp.float32)  # a mask comes last
        if kept.shape[-1] not in (1, self.channels):
            raise UserError(f"srvgg: got conditions of {kept.shape[-1]} channels, expected 1 or {self.channels}")
        image = depth_to_space(x + jnp.repeat(kept, x.shape[-1] // kept.shape[-1], axis=-1), factor)
        if factor != self.scale:
            image = shrunk(image, factor, self.scale)
        return 2 * image - 1 if self.unit_range else image

    def _conv(self, features: int, init: Initializer, name: str) -> Conv:
        return Conv(features, kernel_init=init, dtype=self.dtype, name=name)


def enlargement(scale: int, upscale: int | None) -> int:
    """The factor by which the network itself enlarges. Raises UserError unless the scale is from 1 to this factor."""
    factor = scale if upscale is None else upscale
    if not 1 <= scale <= factor:
        raise UserError(f"srvgg: got scale {scale} with upscale {factor}, expected a scale from 1 to upscale")
    return factor


def shrunk(x: Array, factor: int, scale: int) -> Array:
    """Images `[b,fh,fw,c] -> [b,sh,sw,c]`, reduced bicubically from `factor` to a smaller `scale`.

    As in PyTorch and ncnn: four taps at any factor (no antialiasing), a = -3/4, edges repeated beyond the border. Each
    group of `scale` new pixels is the same linear map of `factor` old pixels and the nearest one on each side, so that
    weighted sums of every `factor`-th pixel suffice: a tenth of the time of matrix products on CPU.
    """
    shares = _shares(scale, factor)
    for axis in (1, 2):
        groups = x.shape[axis] // factor
        padded = jnp.pad(x, [(1, 1) if each == axis else (0, 0) for each in range(4)], mode="edge")
        every = [
            lax.slice_in_dim(padded, start, start + factor * (groups - 1) + 1, factor, axis)
            for start in range(factor + 2)
        ]
        new = [sum(float(share) * part for share, part in zip(row, every) if share) for row in shares]
        x = jnp.stack(new, axis + 1).reshape(*x.shape[:axis], scale * groups, *x.shape[axis + 1 :])
    return x


def _shares(scale: int, factor: int) -> np.ndarray:
    """`[scale, 1 + factor + 1]`: the weight of each old pixel in the new ones, with one more old pixel on each side."""
    wide = weights(3 * scale, 3 * factor, 3 * scale, 3 * factor, method="bicubic", antialias=False)
    return wide[scale : 2 * scale, factor - 1 : 2 * factor + 1].astype(np.float32)

"""Layers along time: convolutions, convolutions factorised into space and time, and channel shifts between frames.

Time is axis 1: clips are `[b,t,h,w,c]`, sequences of vectors `[b,t,c]`. A convolution along time is computed with a
kernel of a single column over an image of t rows, each with all pixels of a frame. `jaxgan.layers.conv` provides its
derivatives of every order and a form that is fast on CPU, where a 3-D convolution costs ten times as much.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan.errors import UserError
from jaxgan.layers.conv import Conv, Geometry, Initializer, biased, conv

TimePadding = Literal["SAME", "CAUSAL", "VALID"]
Frames = Float[Array, "b t *n c"]

PARTS = 8  # 1/PARTS of the channels is shifted in each direction (Lin et al. 2019)


def time_conv(
    x: Float[Array, "b t *n i"], kernel: Float[Array, "k i o"], padding: tuple[int, int] = (0, 0)
) -> Float[Array, "b t2 *n o"]:
    """y[t] = sum over k of x[t + k] kernel[k], zero-padded by (before, after): t -> t + before + after - k + 1.

    Each pixel `n` is convolved independently, in the dtype of x.
    """
    pixels = x.reshape(*x.shape[:2], -1, x.shape[-1])
    geometry = Geometry((1, 1), (padding, (0, 0)), 1, (pixels.shape[1], pixels.shape[2]))
    y = conv(pixels, kernel[:, None].astype(x.dtype), geometry)
    return y.reshape(*y.shape[:2], *x.shape[2:-1], y.shape[-1])


class TimeConv(nn.Module):
    """Convolution along time `[b,t,...,i] -> [b,t',...,features]`; params `kernel` `[k,i,features]` and `bias`.

    `padding`: "SAME" and "CAUSAL" keep the length by zero padding, the former on both sides, the latter only at the
    start, so that no frame depends on a later one. "VALID" does not pad: t' = t - k + 1, and all frames are computed
    alike. Raises UserError if there are too few frames for that.
    """

    features: int
    kernel_size: int = 3
    padding: TimePadding = "SAME"
    use_bias: bool = True
    kernel_init: Initializer = nn.initializers.lecun_normal()
    dtype: Any = jnp.float32  # to compute in; params are float32

    @nn.compact
    def __call__(self, x: Float[Array, "b t *n i"]) -> Float[Array, "b t2 *n o"]:
        """The convolution of x."""
        around = self.kernel_size - 1
        padding = {"SAME": (around // 2, around - around // 2), "CAUSAL": (around, 0), "VALID": (0, 0)}[self.padding]
        if x.shape[1] + sum(padding) <= around:
            raise UserError(f"time convolution: got {x.shape[1]} frames, expected at least {self.kernel_size}")
        kernel = self.param("kernel", self.kernel_init, (self.kernel_size, x.shape[-1], self.features), jnp.float32)
        y = time_conv(x.astype(self.dtype), kernel, padding)
        return biased(self, y) if self.use_bias else y


class Conv2Plus1D(nn.Module):
    """(2+1)-D convolution `[b,t,h,w,i] -> [b,t',h',w',features]` (Tran et al. 2018, section 3.5).

    A convolution of each frame (submodule `space`), `between`, and a convolution along time (`time`). `hidden` is the
    number of channels between the two; None: the pair has as many params as one three-dimensional convolution.
    """

    features: int
    kernel_size: int = 3
    time_kernel_size: int = 3
    stride: int = 1  # over pixels
    time_padding: TimePadding = "SAME"
    hidden: int | None = None
    between: Callable[[Array], Array] = nn.relu
    kernel_init: Initializer = nn.initializers.lecun_normal()
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b t h w i"]) -> Float[Array, "b t2 h2 w2 o"]:
        """The two convolutions of x."""
        hidden = self.hidden
        if hidden is None:
            hidden = middle_width(x.shape[-1], self.features, self.kernel_size, self.time_kernel_size)
        shared = {"kernel_init": self.kernel_init, "dtype": self.dtype}
        y = Conv(hidden, self.kernel_size, stride=self.stride, name="space", **shared)(x)
        time = TimeConv(self.features, self.time_kernel_size, padding=self.time_padding, name="time", **shared)
        return time(self.between(y))


def middle_width(inputs: int, features: int, kernel_size: int = 3, time_kernel_size: int = 3) -> int:
    """M of Tran et al. 2018, section 3.5: t d^2 i o / (d^2 i + t o), the channels between space and time."""
    area = kernel_size**2
    width = time_kernel_size * area * inputs * features // (area * inputs + time_kernel_size * features)
    return max(1, width)


def shift(x: Frames, *, parts: int = PARTS) -> Frames:
    """Temporal shift (Lin et al. 2019): one part of the channels comes from the next frame, another from the previous.

    The other channels are unchanged; frames beyond the ends of the clip are zero.
    """
    width = x.shape[-1] // parts
    from_next, from_last, rest = jnp.split(x, (width, 2 * width), axis=-1)
    return jnp.concatenate([_moved(from_next[:, 1:], (0, 1)), _moved(from_last[:, :-1], (1, 0)), rest], axis=-1)


def causal_shift(
    x: Frames, past: Float[Array, "b 1 *n c2"] | None = None, *, parts: int = PARTS
) -> tuple[Frames, Float[Array, "b 1 *n c2"]]:
    """The shift for films whose next frame is not available yet: the first channels come from the previous frame.

    Also returns the `past` for the frames that follow, so that a film in pieces gives the same result as the whole
    film. `past` None: x is the start of the film.
    """
    width = x.shape[-1] // parts
    whole, past = with_past(x[..., :width], past, 1)
    return jnp.concatenate([whole[:, :-1], x[..., width:]], axis=-1), past


def with_past(
    x: Frames, past: Float[Array, "b p *n c"] | None, count: int
) -> tuple[Float[Array, "b t2 *n c"], Float[Array, "b p *n c"]]:
    """`count` past frames followed by x, and the last `count` frames of both, the `past` of the frames that follow.

    None: zeros. With k - 1 past frames, an unpadded convolution equals the causal one, on whole films and pieces alike.
    """
    if past is None:
        past = jnp.zeros((x.shape[0], count, *x.shape[2:]), x.dtype)
    whole = jnp.concatenate([past, x], axis=1)
    return whole, whole[:, whole.shape[1] - count :]


def _moved(x: Array, zeros: tuple[int, int]) -> Array:
    return jnp.pad(x, ((0, 0), zeros, *((0, 0),) * (x.ndim - 2)))

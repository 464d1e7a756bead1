"""Layers of images on clips: a clip `[b,t,h,w,c]` is so many images more.

What a layer computes of one image it computes of each frame. Layers that look at the whole batch do not fold: batch
norm takes its statistics over all frames of all clips, the minibatch deviation compares clips, not frames.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
from jaxtyping import Array, Float

Meet = Callable[[Array], Array]  # the maps [b,h,w,c] between two stages -> what the next stage gets, such as of clips
Images = Float[Array, "b *t h w c"]  # pictures, or clips


def by_frame(function: Callable[..., Array], *images: Array) -> Array:
    """`function(*images)` of arrays `[b,h,w,c]`, or of the frames of clips `[b,t,h,w,c]`, each as an image of its own.

    The function must treat all images of a batch alike, and none by another; it may change all axes but the first.
    """
    leading = images[0].shape[:-3]
    if len(leading) == 1:
        return function(*images)
    y = function(*(x.reshape(-1, *x.shape[-3:]) for x in images))
    return y.reshape(*leading, *y.shape[1:])


def as_frames(clips: Images) -> Float[Array, "n h w c"]:
    """The frames of clips `[b,t,h,w,c]`, clip by clip, as so many images; images as they are."""
    return clips.reshape(-1, *clips.shape[2:]) if clips.ndim == 5 else clips


def apart(maps: Images) -> Images:
    """Maps of images as they are: where discriminators of images could meet, but none needs to."""
    return maps


def alike(function: Callable[[Array], Array], images: Images) -> Array:
    """`function` of images `[b,h,w,c]`, which has something of its own for each row of a batch, such as a draw.

    All frames of a clip `[b,t,h,w,c]` are of its row, and so they are treated alike.
    """
    return jax.vmap(function, in_axes=1, out_axes=1)(images) if images.ndim == 5 else function(images)

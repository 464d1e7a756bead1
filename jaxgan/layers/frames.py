"""Image layers on clips: the frames of a clip `[b,t,h,w,c]` are folded into the batch as separate images.

A layer computes for each frame what it computes for an image. Layers that look at the whole batch do not fold: batch
norm takes its statistics over all frames of all clips, and the minibatch deviation compares clips, not frames.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
from jaxtyping import Array, Float

Meet = Callable[[Array], Array]  # maps [b,h,w,c] between two stages -> input of the next stage, such as merged frames
Images = Float[Array, "b *t h w c"]  # images or clips


def by_frame(function: Callable[..., Array], *images: Array) -> Array:
    """`function(*images)` of arrays `[b,h,w,c]`, or of the frames of clips `[b,t,h,w,c]`, each as a separate image.

    The function must treat all images of a batch alike and independently; it may change all axes but the first.
    """
    leading = images[0].shape[:-3]
    if len(leading) == 1:
        return function(*images)
    y = function(*(x.reshape(-1, *x.shape[-3:]) for x in images))
    return y.reshape(*leading, *y.shape[1:])


def as_frames(clips: Images) -> Float[Array, "n h w c"]:
    """The frames of clips `[b,t,h,w,c]`, clip by clip, as images; images are returned unchanged."""
    return clips.reshape(-1, *clips.shape[2:]) if clips.ndim == 5 else clips


def apart(maps: Images) -> Images:
    """The maps unchanged: the default `Meet` of image discriminators, which have no frames to merge."""
    return maps


def alike(function: Callable[[Array], Array], images: Images) -> Array:
    """`function` of images `[b,h,w,c]` that treats each row of a batch differently, such as by a random draw.

    All frames of a clip `[b,t,h,w,c]` belong to one row and are therefore treated alike.
    """
    return jax.vmap(function, in_axes=1, out_axes=1)(images) if images.ndim == 5 else function(images)

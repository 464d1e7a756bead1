"""Minibatch standard deviation (Karras et al. 2018, section 3): the variation in a group of images, as a channel."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan.layers.collective import all_rows, axis_size, own_rows


def minibatch_stddev(x: Float[Array, "b *t h w c"], *, group_size: int = 4) -> Float[Array, "b *t h w c2"]:
    """x with one more channel: the standard deviation over each group, averaged over pixels and channels.

    A group is `group_size` consecutive rows of the global batch (fewer if the batch is not divisible by it), so
    groups are the same on one device and many, under `jit` and `pmap`. Devices that hold whole groups exchange no data.
    Clips `[b,t,h,w,c]` are compared as a whole, frame by frame, and averaged over frames too, since StyleGAN-V
    (Skorokhodov et al. 2022) has the frames of a clip as channels at this point.
    """
    rows = x.shape[0]
    batch = rows * axis_size()
    size = next(size for size in range(min(group_size, batch), 0, -1) if batch % size == 0)
    if rows % size == 0:
        deviation = _deviation(x, size)
    else:  # a group crosses devices
        deviation = own_rows(_deviation(all_rows(x), size))
    channel = jnp.broadcast_to(jnp.expand_dims(deviation, range(1, x.ndim)), (*x.shape[:-1], 1))
    return jnp.concatenate([x, channel.astype(x.dtype)], axis=-1)


def _deviation(x: Array, size: int) -> Array:
    """The mean deviation `[b]` of each row's group."""
    groups = x.astype(jnp.float32).reshape(-1, size, *x.shape[1:])
    # the tiny constant keeps the derivative of the root finite in a group of equal images
    return jnp.repeat(jnp.sqrt(groups.var(axis=1) + 1e-8).mean(axis=tuple(range(1, x.ndim))), size)

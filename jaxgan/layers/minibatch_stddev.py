"""Minibatch standard deviation (Karras et al. 2018, section 3): how varied a group of images is, as a channel."""

from __future__ import annotations

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxgan.layers.collective import axis_name


def minibatch_stddev(x: Float[Array, "b h w c"], *, group_size: int = 4) -> Float[Array, "b h w c2"]:
    """x with one more channel: the standard deviation over each group, averaged over pixels and channels.

    A group is `group_size` consecutive rows of the batch on all devices (fewer where that does not
    divide): one device and many, `jit` and `pmap`, see the same groups.
    """
    name, rows = axis_name(), x.shape[0]
    batch = rows if name is None else rows * lax.axis_size(name)
    size = next(size for size in range(min(group_size, batch), 0, -1) if batch % size == 0)
    if name is None or rows % size == 0:
        deviation = _deviation(x, size)
    else:  # a group crosses devices, whose rows follow each other
        whole = _deviation(lax.all_gather(x, name, tiled=True), size)
        deviation = lax.dynamic_slice_in_dim(whole, lax.axis_index(name) * rows, rows)
    channel = jnp.broadcast_to(deviation[:, None, None, None], (*x.shape[:3], 1))
    return jnp.concatenate([x, channel.astype(x.dtype)], axis=-1)


def _deviation(x: Array, size: int) -> Array:
    """The mean deviation `[b]` in each row's group."""
    groups = x.astype(jnp.float32).reshape(-1, size, *x.shape[1:])
    # the tiny constant keeps the derivative of the root finite in a group of equal images
    return jnp.repeat(jnp.sqrt(groups.var(axis=1) + 1e-8).mean(axis=(1, 2, 3)), size)

"""Minibatch standard deviation (Karras et al. 2018, section 3): how varied a group of images is, as a channel."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float


def minibatch_stddev(x: Float[Array, "b h w c"], *, group_size: int = 4) -> Float[Array, "b h w c2"]:
    """x with one more channel: the standard deviation over each group, averaged over pixels and channels.

    A group is `group_size` consecutive rows (fewer where the batch does not divide), so it never
    crosses a device whose rows divide by it: one device and many, `jit` and `pmap`, see the same groups.
    """
    batch = x.shape[0]
    size = next(size for size in range(min(group_size, batch), 0, -1) if batch % size == 0)
    groups = x.astype(jnp.float32).reshape(batch // size, size, *x.shape[1:])
    # the tiny constant keeps the derivative of the root finite in a group of equal images
    deviation = jnp.sqrt(groups.var(axis=1) + 1e-8).mean(axis=(1, 2, 3))
    channel = jnp.broadcast_to(jnp.repeat(deviation, size)[:, None, None, None], (*x.shape[:3], 1))
    return jnp.concatenate([x, channel.astype(x.dtype)], axis=-1)

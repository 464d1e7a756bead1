"""Loops that are fast on every platform: on CPU, convolutions inside compiled loops are 35 to 67 times slower."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def fold(
    function: Callable[[Any, Any], tuple[Any, Any]], carry: Any, xs: Any, *, unroll_on_cpu: bool
) -> tuple[Any, Any]:
    """`(carry, ys)` of `carry, y = function(carry, x)` over the leading axis of `xs`, as `jax.lax.scan`.

    The function is compiled once. With `unroll_on_cpu`, for functions with convolutions, the loop is unrolled on CPU,
    so that the function is compiled once per step.
    """
    length = jax.tree.leaves(xs)[0].shape[0]

    def looped(carry: Any, xs: Any) -> tuple[Any, Any]:
        return jax.lax.scan(function, carry, xs)

    def unrolled(carry: Any, xs: Any) -> tuple[Any, Any]:
        return jax.lax.scan(function, carry, xs, unroll=length)

    if not unroll_on_cpu:
        return looped(carry, xs)
    return jax.lax.platform_dependent(carry, xs, cpu=unrolled, default=looped)


def by_step(network: Any, clip: Float[Array, "b t h w i"], *, train: bool = False) -> Float[Array, "b t h2 w2 o"]:
    """Runs a clip, one shot, through the steps of a network with a memory; for use in its `__call__`.

    The network has `start(frame) -> memory`, `step(frame, memory, train=) -> (image, memory)` and `delay`, the number
    of frames by which its images are late: the last frame is repeated this many times. It has only params.
    """
    if network.is_initializing():  # creates the params; only the shape of the images matters
        image, _ = network.step(clip[:, 0], network.start(clip[:, 0]), train=train)
        return jnp.repeat(image[:, None], clip.shape[1], axis=1)
    free, tree = network.unbind()
    late = jnp.repeat(clip[:, -1:], network.delay, axis=1)

    def step(memory: Any, frame: Array) -> tuple[Any, Array]:
        image, memory = free.apply(tree, frame, memory, train=train, method="step")
        return memory, image

    frames = jnp.moveaxis(jnp.concatenate([clip, late], axis=1), 1, 0)
    _, images = fold(step, network.start(clip[:, 0]), frames, unroll_on_cpu=True)
    return jnp.moveaxis(images[network.delay :], 0, 1)

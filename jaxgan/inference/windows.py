"""Films through networks that want whole clips: window by window, with frames around each."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from jaxgan.fields import Spec, named
from jaxgan.game import Array, Asked, Made, Memory, Product, Weights

SIZE = 8  # frames that are made at once
AROUND = 4  # frames that are seen before and after these


def can_be_windowed(product: Product) -> bool:
    """Whether all that it asks for are clips of any length."""
    return all(field.clip and field.frames is None for field in product.asks.values())


def windowed(product: Product, size: int = SIZE, around: int = AROUND) -> Product:
    """A product of clips as one of frames with a memory.

    The clips are the next `size` frames of a shot and `around` further ones to each side; the shot begins with a still
    picture of its first frame, and as all shots goes on with its last. Images come when their window is complete.
    """
    frames, delay = size + 2 * around, size + around - 1
    image = named(product.gives, "pixels")

    def begin(weights: Weights, asked: Asked) -> Memory:
        seen = jax.tree.map(lambda frame: jnp.repeat(frame[:, None], frames, axis=1), asked)
        made = jax.eval_shape(whole, weights, seen)
        return seen, jnp.zeros(made.shape, made.dtype), jnp.zeros((), jnp.int32)

    def whole(weights: Weights, seen: Asked) -> Array:
        made: Array = product.once(weights, seen)[image]
        return made[:, around : around + size]

    def forward(weights: Weights, asked: Asked, memory: Memory) -> tuple[Made, Memory]:
        seen, made, number = memory
        seen = jax.tree.map(lambda old, new: jnp.concatenate([old[:, 1:], new[:, None]], axis=1), seen, asked)
        place = (number - delay) % size
        made = jax.lax.cond(
            (number >= delay) & (place == 0), lambda: whole(weights, seen).astype(made.dtype), lambda: made
        )
        frame = jax.lax.dynamic_index_in_dim(made, place, axis=1, keepdims=False)
        return {image: frame}, (seen, made, number + 1)

    return dataclasses.replace(
        product,
        asks=_of_frames(product.asks),
        gives=_of_frames(product.gives),
        begin=begin,
        forward=forward,
        delay=delay,
    )


def _of_frames(spec: Spec) -> Spec:
    """The fields of frames, of those of clips."""
    return {name: dataclasses.replace(field, shape=field.shape[1:]) for name, field in spec.items()}

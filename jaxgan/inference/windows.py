"""Networks for whole clips applied to films: window by window, with surrounding frames."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from jaxgan.fields import Spec, named
from jaxgan.game import Array, Asked, Made, Memory, Product, Weights

SIZE = 8  # frames computed at once
AROUND = 4  # surrounding frames on each side


def can_be_windowed(product: Product) -> bool:
    """Whether all inputs of the product are clips of any length."""
    return all(field.clip and field.frames is None for field in product.asks.values())


def windowed(product: Product, size: int = SIZE, around: int = AROUND) -> Product:
    """Convert a product of clips to a product of frames with a memory.

    A clip consists of the next `size` frames of a shot and `around` frames on each side. A shot is extended by
    repeating its first frame and, as every shot with a delay, its last. Images come out when their window is complete.
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
    """The fields with their axis of frames removed."""
    return {name: dataclasses.replace(field, shape=field.shape[1:]) for name, field in spec.items()}

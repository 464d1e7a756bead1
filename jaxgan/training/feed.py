"""From the host's bytes to the batch that losses see, inside the compiled step.

The host sends uint8 images, or only row numbers of a data set that lies on the device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxgan.game import Array, Batch, Key, State
from jaxgan.layers.collective import axis_name
from jaxgan.training.step import DueSet, Metrics, TrainStep, play_rounds

PICTURES = {"image", "condition"}  # the fields of a batch that hold pixels
FLIP_STREAM = 0x666C6970  # keeps the flips' keys apart from the rounds'


def assemble(cache: Mapping[str, Array] | None, sent: Mapping[str, Array], key: Key | None = None) -> Batch:
    """The batch `{image [B,H,W,C] in [-1, 1], label [B], ...}` of what was sent; with a key, randomly flipped."""
    fields = {name: rows for name, rows in sent.items() if name != "index"}
    if cache is not None:
        fields |= {name: array[sent["index"]] for name, array in cache.items()}
    for name in PICTURES & fields.keys():
        image = fields[name].astype(jnp.float32) / 127.5 - 1.0
        if key is not None:
            flipped = jax.random.bernoulli(key, shape=(image.shape[0], 1, 1, 1))
            image = jnp.where(flipped, image[:, :, ::-1], image)
        fields[name] = image
    return fields


def make_play(train_step: TrainStep, key: Key, *, flip: bool = False) -> Callable[..., tuple[State, Metrics]]:
    """`(state, cache, sent, due_sets) -> (state, metrics)`: one round for each batch that was sent."""

    def play(
        state: State, cache: Any, sent: Sequence[Mapping[str, Array]], due_sets: Sequence[DueSet]
    ) -> tuple[State, Metrics]:
        batches = [
            assemble(cache, rows, _flip_key(key, state, index) if flip else None) for index, rows in enumerate(sent)
        ]
        return play_rounds(train_step, state, batches, key, due_sets)

    return play


def _flip_key(key: Key, state: State, index: int) -> Key:
    key = jax.random.fold_in(jax.random.fold_in(key, FLIP_STREAM), state.step + index)
    axis = axis_name()
    return key if axis is None else jax.random.fold_in(key, jax.lax.axis_index(axis))

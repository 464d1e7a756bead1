"""From the host's bytes to the batch that losses see, inside the compiled step.

The host sends uint8 images, or only row numbers of a data set that lies on the device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxgan.errors import UserError
from jaxgan.fields import PLANES
from jaxgan.game import Array, Batch, Key, Spec, State
from jaxgan.layers.collective import axis_name
from jaxgan.training.step import DueSet, Metrics, TrainStep, play_rounds

FLIP_STREAM = 0x666C6970  # keeps the flips' keys apart from the rounds'


def assemble(spec: Spec, cache: Mapping[str, Array] | None, sent: Mapping[str, Array], key: Key | None = None) -> Batch:
    """The batch of what was sent: `{image [B,H,W,C] in [-1, 1], label [B], ...}`, each field as its kind wants it.

    Of a `cache` its rows are gathered, field by field. With a key examples are flipped at random, each in all its
    planes and frames alike.
    """
    fields = {name: rows for name, rows in sent.items() if name != "index"}
    if cache is not None:
        fields |= {name: array[sent["index"]] for name, array in cache.items()}
    for name, rows in fields.items():
        if spec[name].kind == "pixels":
            rows = rows.astype(jnp.float32) / 127.5 - 1.0
        if key is not None and spec[name].kind in PLANES:
            flipped = jax.random.bernoulli(key, shape=(len(rows), *[1] * (rows.ndim - 1)))  # one draw for all fields
            rows = jnp.where(flipped, jnp.flip(rows, axis=-2), rows)
        fields[name] = rows
    return fields


def sent_batch(spec: Spec, rows: int, sharding: Any = None) -> dict[str, jax.ShapeDtypeStruct]:
    """The shapes of what the host sends of so many examples. Raises UserError for a field of unknown size."""
    for name, field in spec.items():
        if None in field.shape:
            raise UserError(f"the data's {name!r} ({field}) has a size that is unknown; batches require equal ones")
    return {
        name: jax.ShapeDtypeStruct((rows, *field.known), jax.dtypes.canonicalize_dtype(field.dtype), sharding=sharding)
        for name, field in spec.items()
    }


def make_play(
    train_step: TrainStep, spec: Spec, key: Key, *, flip: bool = False
) -> Callable[..., tuple[State, Metrics]]:
    """`(state, cache, sent, due_sets) -> (state, metrics)`: one round for each batch that was sent.

    Raises UserError for flips of data with a flow, which they would turn.
    """
    flows = [name for name, field in spec.items() if field.kind == "flow"]
    if flip and flows:
        raise UserError(f"config.data.flip: got true, accepted is false for data with a flow, {flows[0]!r}")

    def play(
        state: State, cache: Any, sent: Sequence[Mapping[str, Array]], due_sets: Sequence[DueSet]
    ) -> tuple[State, Metrics]:
        batches = [
            assemble(spec, cache, rows, _flip_key(key, state, index) if flip else None)
            for index, rows in enumerate(sent)
        ]
        return play_rounds(train_step, state, batches, key, due_sets)

    return play


def _flip_key(key: Key, state: State, index: int) -> Key:
    key = jax.random.fold_in(jax.random.fold_in(key, FLIP_STREAM), state.step + index)
    axis = axis_name()
    return key if axis is None else jax.random.fold_in(key, jax.lax.axis_index(axis))

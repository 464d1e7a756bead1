"""From the host's bytes to the batch that losses see, inside the compiled step.

The host sends uint8 images, or only row numbers of a data set that lies on the device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax

from jaxgan.errors import UserError
from jaxgan.game import Array, Key, Spec, State
from jaxgan.layers.collective import axis_name
from jaxgan.training.batches import assemble
from jaxgan.training.step import DueSet, Metrics, TrainStep, play_rounds

FLIP_STREAM = 0x666C6970  # keeps the flips' keys apart from the rounds'


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

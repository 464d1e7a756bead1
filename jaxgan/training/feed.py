"""From the host's bytes to the batch that losses see, inside the compiled step.

The host sends uint8 images, or only row numbers into a data set that is kept on the device.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Mapping, Sequence

import jax

from jaxgan.config.run import path_of
from jaxgan.errors import UserError
from jaxgan.fields import MAIN, source_of
from jaxgan.game import Array, Key, Spec, State
from jaxgan.layers.collective import axis_name
from jaxgan.training.batches import assemble
from jaxgan.training.step import DueSet, Metrics, TrainStep, play_rounds

FLIP_STREAM = 0x666C6970  # separates the keys of flips from those of rounds


def make_play(
    train_step: TrainStep, spec: Spec, key: Key, *, flipped: Collection[str] = ()
) -> Callable[..., tuple[State, Metrics]]:
    """`(state, cache, sent, due_sets) -> (state, metrics)`: one round for each batch sent.

    Examples of the sources in `flipped` are flipped at random. Raises UserError for a source with a flow field, whose
    direction a flip would reverse.
    """
    for name, field in spec.items():
        if field.kind == "flow" and source_of(name) in flipped:
            path = f"{path_of(source_of(name))}.flip"
            raise UserError(f"{path}: got true, expected false for data with a flow, {name!r}")

    def play(
        state: State,
        cache: Mapping[str, Array] | None,
        sent: Sequence[Mapping[str, Array]],
        due_sets: Sequence[DueSet],
    ) -> tuple[State, Metrics]:
        batches = [
            assemble(spec, cache, rows, {name: _flip_key(key, state, index, name) for name in flipped})
            for index, rows in enumerate(sent)
        ]
        return play_rounds(train_step, state, batches, key, due_sets)

    return play


def _flip_key(key: Key, state: State, index: int, source: str) -> Key:
    key = jax.random.fold_in(jax.random.fold_in(key, FLIP_STREAM), state.step + index)
    key = key if source == MAIN else jax.random.fold_in(key, zlib.crc32(source.encode()))
    axis = axis_name()
    return key if axis is None else jax.random.fold_in(key, jax.lax.axis_index(axis))

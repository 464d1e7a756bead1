"""Stages that begin with fresh moments, on a problem solved by hand.

Each player owns one number whose gradient is 1, and moves it by SGD with momentum: after n turns the momentum is
m_n = 1 + M m_(n-1), from m_1 = 1 where it was forgotten, and the number falls by the rate times m_n.
"""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan.game import GENERATOR, Aux, Phase
from jaxgan.layers import collective
from jaxgan.training.state import init_state
from jaxgan.training.step import due_phases, make_train_step, play_rounds

M, KEY = 0.5, jax.random.key(0)
SETTLED = 1 / (1 - M)  # the limit of the momentum in a long stage


def slope(state, batch, key):
    return (state.params[GENERATOR]["w"] * batch["image"].mean()), Aux()


@dataclasses.dataclass(frozen=True)
class Game:
    """A player, and its phases: `(every, start, stop, fresh)` each, or with a gate."""

    stages: tuple
    gate: object = None

    players = {GENERATOR: (GENERATOR,)}  # noqa: RUF012
    averaged = (GENERATOR,)

    def init(self, key, batch):
        return {GENERATOR: {"w": jnp.float32(0.0)}}, {GENERATOR: {}}

    def init_carry(self):
        return {}

    def phases(self):
        return tuple(
            Phase(f"{number}", GENERATOR, slope, every=every, start=start, stop=stop, fresh=fresh, gate=self.gate)
            for number, (every, start, stop, fresh) in enumerate(self.stages)
        )


def batch_of(size, value=1.0):
    return {"image": jnp.full((size, 1, 1, 1), value)}


OPTIMIZER = {GENERATOR: lambda images, rollbacks: optax.sgd(1.0, momentum=M)}


def play(game, rounds, *, size=8, poison=(), step=None, state=None):
    """How much the number fell in each round with a due phase, by the images seen before; and the state."""
    step = jax.jit(make_train_step(game, OPTIMIZER, images=size), static_argnums=3) if step is None else step
    state = init_state(game, OPTIMIZER, KEY, batch_of(size)) if state is None else state
    fell = {}
    for number in range(int(state.step), int(state.step) + rounds):
        images = number * size
        due = due_phases(game.phases(), number, images)
        before = state.params[GENERATOR]["w"]
        state, _ = step(state, batch_of(size, np.nan if images in poison else 1.0), KEY, due)
        if due:
            fell[images] = float(before - state.params[GENERATOR]["w"])
    return fell, state


def two_stages(every, start=64):
    return Game(((1, 0, start, False), (every, start, None, True)))


def test_a_stage_that_is_first_due_late_begins_with_fresh_moments_once():
    fell, _ = play(two_stages(5), 25)
    assert fell[56] == pytest.approx(SETTLED, rel=0.01)
    assert {images: fall for images, fall in fell.items() if images >= 64} == {72: 1.0, 112: 1.5, 152: 1.75, 192: 1.875}


@pytest.mark.parametrize("every", [1, 2, 3, 5, 16])
@pytest.mark.parametrize(("start", "size"), [(64, 8), (60, 8), (65, 8), (64, 24), (1, 8), (8, 8)])
def test_only_the_first_turn_of_a_stage_resets_the_moments(every, start, size):
    fell, _ = play(two_stages(every, start), 2 * every + 10 + start // size, size=size)
    late = [fall for images, fall in fell.items() if images >= start]
    expected = [(1 - M**n) / (1 - M) for n in range(1, len(late) + 1)]
    assert len(late) >= 2
    np.testing.assert_allclose(late, expected, rtol=1e-6)


def test_a_skipped_or_gated_first_turn_resets_the_moments_too():
    fell, state = play(two_stages(5), 25, poison={72})
    assert state.skipped == 1
    assert {images: fall for images, fall in fell.items() if images >= 64} == {72: 0.0, 112: 1.0, 152: 1.5, 192: 1.75}
    gated = dataclasses.replace(two_stages(5), gate=lambda state: state.images_seen != 72)
    fell, _ = play(gated, 25)
    assert {images: fall for images, fall in fell.items() if images >= 64} == {72: 0.0, 112: 1.0, 152: 1.5, 192: 1.75}


def test_the_first_due_phase_of_a_stage_resets_the_moments():
    # due at 88 (every 4), 72 (every 5) and both at 152; the other phase does not reset the stage's moments again
    fell, _ = play(Game(((1, 0, 64, False), (5, 64, None, True), (4, 64, None, False))), 20)
    assert {images: fall for images, fall in fell.items() if images >= 64} == {
        72: 1.0,
        88: 1.5,
        112: 1.75,
        120: 1.875,
        152: 1.9375 + 1.96875,
    }
    # both in the first round
    fell, _ = play(Game(((1, 0, 64, False), (1, 64, None, True), (1, 64, None, False))), 9)
    assert fell[64] == 1.0 + 1.5


def test_resuming_and_several_rounds_in_a_dispatch_change_nothing():
    game = two_stages(5)
    whole, _ = play(game, 25)
    for cut in range(7, 11):
        first, state = play(game, cut)
        second, _ = play(game, 25 - cut, state=state)
        assert {**first, **second} == whole
    step, state, at = make_train_step(game, OPTIMIZER, images=8), init_state(game, OPTIMIZER, KEY, batch_of(8)), 0
    for rounds in (7, 9, 9):
        due = tuple(due_phases(game.phases(), number, number * 8) for number in range(at, at + rounds))
        together = jax.jit(partial(play_rounds, step, due_sets=due))
        state, at = together(state, [batch_of(8)] * rounds, KEY)[0], at + rounds
    assert float(state.params[GENERATOR]["w"]) == pytest.approx(-sum(whole.values()))


def test_the_clock_counts_the_images_of_all_devices():
    game, devices = two_stages(5), 2
    step = make_train_step(game, OPTIMIZER, images=8)

    def on_axis(state, batch, key, due):
        with collective.axis("data"):
            rows = jax.tree.map(lambda x: x.reshape(devices, -1, *x.shape[1:]), batch)
            states, metrics = jax.vmap(lambda rows: step(state, rows, key, due), axis_name="data", axis_size=devices)(
                rows
            )
        return jax.tree.map(lambda leaf: leaf[0], (states, metrics))

    several, _ = play(game, 25, step=jax.jit(on_axis, static_argnums=3))
    assert several == play(game, 25)[0]

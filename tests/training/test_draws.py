"""Which draw a loss gets, how often it is computed, and when a moving network invalidates it.

Two players, `forth` and `back`, own one number each and draw so many times a noise; `judge` owns a number and looks.
A third network, `fixed`, is nobody's.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan.errors import UserError
from jaxgan.game import Aux, Phase
from jaxgan.training.state import init_state
from jaxgan.training.step import make_train_step

KEY, ROWS = jax.random.key(3), 8
BATCH = {"image": jnp.ones((ROWS, 1, 1, 1))}
OPTIMIZERS = dict.fromkeys(("judge", "forth", "back"), lambda images, rollbacks: optax.sgd(0.5))


def looks(network):
    """A loss whose slope is the mean of the fakes; it reports them as a metric."""

    def loss(state, batch, key):
        fakes = batch["fakes"]
        return state.params[network]["w"] * fakes.mean(), Aux({"fakes": fakes, "fixed": state.params["fixed"]["w"]})

    return loss


def made(state, batch, key):
    """A drawing player's loss: the mean of what it drew."""
    return batch["fakes"].mean(), Aux({"fakes": batch["fakes"]})


def alone(state, batch, key):
    assert "fakes" not in batch
    return state.params["judge"]["w"], Aux()


PHASES = (
    Phase("sees_forth", "judge", looks("judge"), drawn_by="forth"),
    Phase("sees_back", "judge", looks("judge"), drawn_by="back"),
    Phase("forth", "forth", made, drawn_by="forth"),
    Phase("back", "back", made, drawn_by="back"),
)


@dataclasses.dataclass
class Both:
    """The task. `drawn` records the phases for which a draw was computed."""

    played: tuple = PHASES
    averaged: tuple = ()
    drawn: list = dataclasses.field(default_factory=list)

    players = {name: (name,) for name in OPTIMIZERS}  # noqa: RUF012

    def init(self, key, batch):
        return {name: {"w": jnp.float32(2.0)} for name in (*OPTIMIZERS, "fixed")}, {
            name: {"seen": jnp.float32(0.0)} for name in (*OPTIMIZERS, "fixed")
        }

    def init_carry(self):
        return {}

    def phases(self):
        return self.played

    def draw(self, phase, state, batch, key):
        self.drawn.append(phase.name)
        player = phase.drawn_by
        noise = jax.random.normal(key, (len(batch["image"]),))
        seen = state.variables[player]["seen"] + 1
        return state.params[player]["w"] * noise, {player: {"seen": seen}}


@dataclasses.dataclass
class Encoding(Both):
    """The draw of `forth` also passes through the judge's network."""

    def drawn_with(self, player):
        return ("forth", "judge") if player == "forth" else (player,)


def play(task, due, state=None, batch=BATCH, **options):
    """The state and the metrics after a round."""
    state = init_state(task, OPTIMIZERS, KEY, BATCH) if state is None else state
    task.drawn.clear()
    return make_train_step(task, OPTIMIZERS, images=ROWS, **options)(state, batch, KEY, due)


def round_key(step=0):
    return jax.random.fold_in(jax.random.fold_in(KEY, 0), step)


def test_phases_share_one_draw_of_each_drawing_player():
    task = Both()
    state, metrics = play(task, (0, 1, 2, 3))
    assert task.drawn == ["sees_forth", "sees_back"]
    noise = jax.random.normal(jax.random.fold_in(round_key(), 0), (ROWS,))  # the key of games with one drawing player
    np.testing.assert_allclose(metrics["sees_forth/fakes"], 2 * noise, rtol=1e-6)
    for player in ("forth", "back"):
        np.testing.assert_array_equal(metrics[f"{player}/fakes"], metrics[f"sees_{player}/fakes"])
        own = metrics[f"{player}/fakes"].mean() / 2  # the derivative of the draw by the player's number
        np.testing.assert_allclose(state.params[player]["w"], 2 - 0.5 * own, rtol=1e-6)
        assert state.variables[player]["seen"] == 1
    assert (metrics["forth/fakes"] != metrics["back/fakes"]).all()
    assert state.variables["judge"]["seen"] == 0


def test_the_key_of_the_second_player_does_not_depend_on_other_players():
    wanted = play(Both(), (0, 1, 2, 3))[1]["back/fakes"]
    np.testing.assert_array_equal(play(Both(), (3,))[1]["back/fakes"], wanted)
    others = [jax.random.fold_in(round_key(), number) for number in range(len(PHASES) + 1)]
    assert not any((2 * jax.random.normal(key, (ROWS,)) == wanted).all() for key in others)


def test_a_draw_is_dropped_when_a_network_that_it_used_moves():
    again = (*PHASES, Phase("late", "judge", looks("judge"), drawn_by="forth"))
    task = Both(again)
    _, metrics = play(task, (0, 1, 2, 3, 4))
    assert task.drawn == ["sees_forth", "sees_back", "late"]  # after a turn of its own player only
    assert (metrics["late/fakes"] != metrics["forth/fakes"]).all()
    encoding = Encoding(again)
    play(encoding, (0, 1, 2, 3, 4))
    assert encoding.drawn == ["sees_forth", "sees_back", "forth", "late"]
    play(encoding, (0, 1, 2, 3, 4), simultaneous=True)
    assert encoding.drawn == ["sees_forth", "sees_back"]


def test_phases_of_other_windows_draw_for_themselves():
    staged = (*PHASES[:2], dataclasses.replace(PHASES[2], stop=100), PHASES[3])
    task = Both(staged)
    _, metrics = play(task, (0, 1, 2, 3))
    assert task.drawn == ["sees_forth", "sees_back", "forth"]
    np.testing.assert_array_equal(metrics["forth/fakes"], metrics["sees_forth/fakes"])  # one key per player


def test_fresh_latents_are_drawn_for_each_phase():
    task = Both()
    _, metrics = play(task, (0, 1, 2, 3), fresh_latents=True)
    assert task.drawn == [phase.name for phase in PHASES]
    assert (metrics["forth/fakes"] != metrics["sees_forth/fakes"]).all()


def test_parts_of_a_batch_draw_for_themselves_and_add_up():
    task = Both()
    state, metrics = play(task, (0, 2, 3), microbatches=2)
    assert state.params["forth"]["w"] == pytest.approx(2 - 0.5 * float(metrics["forth/fakes"].mean()) / 2, rel=1e-5)


def test_a_phase_without_a_draw_gets_none():
    task = Both((Phase("alone", "judge", alone),))
    state, _ = play(task, (0,))
    assert task.drawn == []
    assert state.params["judge"]["w"] == 1.5


def test_each_average_has_the_clock_of_its_network():
    task = Both(averaged=("judge", "back"))
    state, _ = play(task, (0,), half_life_images=ROWS)
    assert state.averaged_at == {"judge": ROWS, "back": 0}
    state, _ = play(task, (0, 3), state, half_life_images=ROWS)
    assert state.averaged_at == {"judge": 2 * ROWS, "back": 2 * ROWS}
    assert state.ema_params.keys() == state.ema_variables.keys() == {"judge", "back"}
    back = 2 / 4 + float(state.params["back"]["w"]) * 3 / 4  # two rounds between, each of one half-life
    assert float(state.ema_params["back"]["w"]) == pytest.approx(back)


def test_a_task_may_average_nothing():
    state, _ = play(Both(), (0, 1, 2, 3))
    assert state.averaged_at == state.ema_params == state.ema_variables == {}


def test_a_network_without_a_player_is_unchanged():
    task = Both()
    state, metrics = play(task, (0, 1, 2, 3))
    assert state.params["fixed"]["w"] == metrics["sees_forth/fixed"] == 2
    assert state.opt_state.keys() == task.players.keys()
    changed = state.replace(params={**state.params, "fixed": {"w": jnp.float32(5.0)}})
    step = jax.jit(make_train_step(task, OPTIMIZERS, images=ROWS), static_argnums=3)
    traced = [step(each, BATCH, KEY, (0,))[1]["sees_forth/fixed"] for each in (state, changed)]
    assert traced == [2, 5]  # its weights are an argument of the program, not a constant
    assert step._cache_size() == 1


def test_an_average_of_a_network_without_a_player_is_refused():
    with pytest.raises(UserError, match=r"Both\.averaged: got 'fixed', expected networks .*'judge', 'forth', 'back'"):
        init_state(Both(averaged=("fixed",)), OPTIMIZERS, KEY, BATCH)

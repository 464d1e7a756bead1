"""The train step on a task small enough to be checked by hand."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from toy import BATCH, SGD, make_batch, make_state, make_task, optimizers

from jaxgan.game import Aux, Phase
from jaxgan.losses.adversarial import non_saturating
from jaxgan.models import dcgan, mlp
from jaxgan.regularizers.gradient_penalty import r1
from jaxgan.tasks.adversary import Adversary
from jaxgan.tasks.generation import Generation
from jaxgan.tasks.penalty import Penalty
from jaxgan.training.state import init_state
from jaxgan.training.step import due_phases, make_train_step, play_rounds

KEY = jax.random.key(0)
D, G = 0, 1  # phases of the task without lazy penalties


def step_of(task, **kwargs):
    return jax.jit(make_train_step(task, optimizers(task), images=BATCH, **kwargs), static_argnums=3)


def close(a, b, **kwargs):
    jax.tree.map(partial(np.testing.assert_allclose, **{"rtol": 1e-5, "atol": 1e-6, **kwargs}), a, b)


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.mark.parametrize(
    ("due", "moving", "resting"), [((D,), "discriminator", "generator"), ((G,), "generator", "discriminator")]
)
def test_a_phase_moves_only_its_own_player(due, moving, resting):
    task = make_task()
    old = make_state(task)
    new, _ = step_of(task)(old, make_batch(), KEY, due)
    same(new.params[resting], old.params[resting])
    same(new.variables[resting], old.variables[resting])
    same(new.opt_state[resting], old.opt_state[resting])
    assert all((a != b).any() for a, b in zip(jax.tree.leaves(new.params[moving]), jax.tree.leaves(old.params[moving])))
    assert (new.variables["generator"]["stats"]["mean"] != 0).any() == (moving == "generator")


def by_hand(task, state, batch):
    """One alternating round of SGD from the definitions, with a separate forward for every gradient."""

    def fakes(generator):
        return task.generator.apply(
            {"params": generator, **state.variables["generator"]}, batch["latent"], None, train=True
        )[0]

    def logits(discriminator, image):
        return task.adversary.network.apply({"params": discriminator}, image, None, train=True)[0].logits

    def discriminator_loss(p):
        real, fake = logits(p, batch["image"]), logits(p, fakes(state.params["generator"]))
        return (jax.nn.softplus(-real) + jax.nn.softplus(fake)).mean()

    discriminator = jax.tree.map(
        lambda p, g: p - 0.1 * g,
        state.params["discriminator"],
        jax.grad(discriminator_loss)(state.params["discriminator"]),
    )

    def generator_gradient(discriminator):
        return jax.grad(lambda p: jax.nn.softplus(-logits(discriminator, fakes(p))).mean())(state.params["generator"])

    moved = {
        name: jax.tree.map(lambda p, g: p - 0.1 * g, state.params["generator"], generator_gradient(opponent))
        for name, opponent in (
            ("alternating", discriminator),
            ("simultaneous", state.params["discriminator"]),
        )
    }
    return discriminator, moved


@pytest.mark.parametrize("simultaneous", [False, True])
def test_a_round_equals_its_definition(simultaneous):
    task = make_task()
    state, batch = make_state(task), make_batch()
    new, _ = step_of(task, simultaneous=simultaneous)(state, batch, KEY, (D, G))
    discriminator, generator = by_hand(task, state, batch)
    close(new.params["discriminator"], discriminator)
    close(new.params["generator"], generator["simultaneous" if simultaneous else "alternating"])


def test_shared_fakes_are_two_forwards_with_one_key_and_fresh_ones_are_not():
    task, batch = make_task(), make_batch(latents=False)
    state = make_state(task)
    shared, _ = step_of(task)(state, batch, KEY, (D, G))
    # gradient accumulation draws again for each phase, from the same key
    round_key = jax.random.fold_in(jax.random.fold_in(KEY, 0), 0)
    latent = task.latents(jax.random.fold_in(round_key, 0), BATCH)
    given, _ = step_of(task)(state, {**batch, "latent": latent}, KEY, (D, G))
    close(shared.params, given.params)
    fresh, _ = step_of(task, fresh_latents=True)(state, batch, KEY, (D, G))
    assert (fresh.params["generator"]["w"] != shared.params["generator"]["w"]).any()


@pytest.mark.parametrize("parts", [2, 4])
def test_accumulated_gradients_equal_those_of_the_whole_batch(parts):
    task, batch = make_task(penalties=(Penalty("r1", r1),)), make_batch()
    state = make_state(task)
    whole, report = step_of(task)(state, batch, KEY, (D, G))
    accumulated, parts_report = step_of(task, microbatches=parts)(state, batch, KEY, (D, G))
    close(accumulated.params, whole.params)
    close(parts_report["discriminator/loss"], report["discriminator/loss"])
    assert accumulated.images_seen == BATCH


def test_a_turn_with_a_nan_is_skipped_and_counted():
    task = make_task()
    state, step = make_state(task), step_of(task)
    poisoned = {**make_batch(), "image": jnp.full((BATCH, 2, 2, 1), jnp.nan)}
    new, metrics = step(state, poisoned, KEY, (D, G))
    same(new.params["discriminator"], state.params["discriminator"])
    same(new.opt_state, state.opt_state)
    assert (new.params["generator"]["w"] != state.params["generator"]["w"]).any()
    assert (new.skipped, new.skipped_in_a_row, metrics["skipped_in_a_row"]) == (1, 1, 1)
    new, _ = step(new, poisoned, KEY, (D, G))
    assert (new.skipped, new.skipped_in_a_row, new.images_seen) == (2, 2, 2 * BATCH)
    new, _ = step(new, make_batch(), KEY, (D, G))
    assert (new.skipped, new.skipped_in_a_row) == (2, 0)


def test_a_closed_gate_makes_a_player_sit_out():
    task = make_task()
    gated = dataclasses.replace(task.phases()[D], gate=lambda state: state.images_seen >= BATCH)

    class Gated(type(task)):
        def phases(self):
            return (gated, *super().phases()[1:])

    task = Gated(**{f.name: getattr(task, f.name) for f in dataclasses.fields(task)})
    state = make_state(task)
    step = step_of(task)
    first, _ = step(state, make_batch(), KEY, (D, G))
    same(first.params["discriminator"], state.params["discriminator"])
    assert first.skipped == 0
    second, _ = step(first, make_batch(), KEY, (D, G))
    assert (second.params["discriminator"]["w"] != first.params["discriminator"]["w"]).any()


@pytest.mark.quick
def test_due_phases():
    def phase(**kwargs):
        return Phase("x", "generator", lambda *_: (jnp.zeros(()), Aux()), **kwargs)

    phases = (phase(), phase(every=16), phase(every=5), phase(start=100), phase(stop=100))
    assert due_phases(phases, 0, 0) == (0, 4)
    assert due_phases(phases, 4, 99) == (0, 2, 4)
    assert due_phases(phases, 15, 100) == (0, 1, 3)
    assert due_phases(phases, 79, 640) == (0, 1, 2, 3)


def test_each_due_set_compiles_once():
    task = make_task(penalties=(Penalty("r1", r1, every=4),), generator_every=2)
    state, step, traced = make_state(task), make_train_step(task, optimizers(task), images=BATCH), []

    @partial(jax.jit, static_argnums=3)
    def counted(state, batch, key, due):
        traced.append(due)
        return step(state, batch, key, due)

    for index in range(9):
        state, metrics = counted(state, make_batch(index), KEY, due_phases(task.phases(), index, index * BATCH))
    assert len(traced) == len(set(traced)) == 3  # discriminator alone, with the generator, with both others
    assert metrics.keys() >= {"discriminator/loss", "discriminator/grad_norm", "discriminator/accuracy"}


def test_a_lazy_penalty_weighs_as_much_as_one_in_every_step():
    eager, lazy = (make_task(penalties=(Penalty("r1", r1, {"gamma": 2.0}, every=n),)) for n in (1, 4))
    state, batch = make_state(eager), make_batch()
    _, with_loss = step_of(eager)(state, batch, KEY, (0, 1))
    _, alone = step_of(lazy)(state, batch, KEY, (1,))
    close(alone["discriminator_r1/loss"], 4 * alone["discriminator_r1/r1"])
    close(alone["discriminator_r1/r1"], with_loss["discriminator/r1"])


def test_the_average_moves_on_generator_turns_by_the_images_between():
    task = make_task(generator_every=2)
    state = make_state(task)
    step = step_of(task, half_life_images=32)
    first, _ = step(state, make_batch(0), KEY, (D,))
    same(first.ema_params, state.ema_params)
    second, _ = step(first, make_batch(1), KEY, (D, G))
    decay = 0.5 ** (2 * BATCH / 32)
    expected = jax.tree.map(
        lambda old, new: decay * old + (1 - decay) * new,
        state.params["generator"],
        second.params["generator"],
    )
    close(second.ema_params["generator"], expected)
    assert second.averaged_at == {"generator": 2 * BATCH}


def test_several_rounds_in_one_dispatch_equal_as_many_steps():
    task = make_task(generator_every=2)
    batches = [make_batch(i) for i in range(4)]
    step = make_train_step(task, optimizers(task), images=BATCH)
    for due_sets in (((D, G),) * 4, ((D,), (D, G)) * 2):
        state = make_state(task)
        for batch, due in zip(batches, due_sets):
            state, metrics = jax.jit(step, static_argnums=3)(state, batch, KEY, due)
        played, stacked = jax.jit(partial(play_rounds, step, due_sets=due_sets))(make_state(task), batches, KEY)
        close(played.params, state.params)
        close(stacked["discriminator/loss"][-1], metrics["discriminator/loss"])
        assert len(stacked["generator/loss"]) == sum(G in due for due in due_sets)


@pytest.mark.parametrize("convolves", [False, True])
@pytest.mark.parametrize("microbatches", [1, 2])
def test_only_games_with_convolutions_are_unrolled_on_cpu(convolves, microbatches):
    networks = (
        (dcgan.Generator(8, 1, widths=(2,)), dcgan.Discriminator(8, widths=(2,)))
        if convolves
        else (mlp.Generator(8, 1, widths=(4096, 4096)), mlp.Discriminator(widths=(4096, 4096)))
    )
    task = Generation(networks[0], Adversary(networks[1], non_saturating), latent_dim=4)
    batch = {"image": jnp.zeros((8, 8, 8, 1))}
    state = jax.eval_shape(lambda: init_state(task, optimizers(task), KEY, batch))
    step = make_train_step(task, optimizers(task), images=BATCH, microbatches=microbatches)
    key = jax.random.key(0, impl="unsafe_rbg")  # its generator has no loops
    with jax.default_prng_impl("unsafe_rbg"):
        traced = jax.jit(partial(play_rounds, step, due_sets=((D, G),) * 2)).trace(state, [batch] * 2, key)
    loops = 1 if microbatches == 1 else 3  # over the rounds, and over the parts of each turn
    for platform, expected in {"cuda": loops, "cpu": 0 if convolves else loops}.items():
        assert traced.lower(lowering_platforms=(platform,)).as_text().count("stablehlo.while") == expected


def test_noise_depends_on_step_and_rollbacks_only():
    task, batch = make_task(), make_batch(latents=False)
    state, step = make_state(task), step_of(task)
    reference, again = (step(state, batch, KEY, (D, G))[0].params["generator"]["w"] for _ in range(2))
    same(reference, again)
    for other in (state.replace(step=state.step + 1), state.replace(rollbacks=state.rollbacks + 1)):
        assert (step(other, batch, KEY, (D, G))[0].params["generator"]["w"] != reference).any()


def test_two_players_with_different_settings():
    task = make_task()
    slow, fast = SGD, lambda images, rollbacks: optax.sgd(0.4)
    state, batch = make_state(task), make_batch()
    both = {"generator": slow, "discriminator": fast}
    ttur, _ = make_train_step(task, both, images=BATCH, simultaneous=True)(state, batch, KEY, (D, G))
    one, _ = make_train_step(task, optimizers(task), images=BATCH, simultaneous=True)(state, batch, KEY, (D, G))
    close(ttur.params["generator"], one.params["generator"])
    distance = [np.abs(s.params["discriminator"]["w"] - state.params["discriminator"]["w"]) for s in (ttur, one)]
    np.testing.assert_allclose(distance[0], 4 * distance[1], rtol=1e-4)

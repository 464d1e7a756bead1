"""Progressive growing: which stage is played when, how it fades in, what it leaves alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.errors import UserError
from jaxgan.losses import adversarial
from jaxgan.models import progan
from jaxgan.tasks.progressive import Progressive
from jaxgan.training.optimizers import make_optimizer
from jaxgan.training.state import init_state
from jaxgan.training.step import due_phases, make_train_step

BATCH, STAGE, FADE = 4, 40, 20


def make_task(**kwargs):
    generator = progan.Generator(16, 1, base_width=4, max_width=4)
    discriminator = progan.Discriminator(16, base_width=4, max_width=4)
    settings = {"latent_dim": 3, "resolution": 16, "stage_images": STAGE, "fade_images": FADE, **kwargs}
    return Progressive(generator, discriminator, adversarial.non_saturating, **settings)


def make_batch():
    return {"image": jax.random.uniform(jax.random.key(5), (BATCH, 16, 16, 1), minval=-1.0)}


def make_state(task):
    optimizers = dict.fromkeys(task.players, make_optimizer({"name": "adam", "learning_rate": 0.01, "b1": 0.0}))
    return jax.jit(lambda: init_state(task, optimizers, jax.random.key(0), make_batch()))(), optimizers


def test_each_stage_has_its_images_and_the_last_goes_on():
    task = make_task()
    phases = task.phases()
    played = {images: due_phases(phases, 0, images) for images in (0, STAGE - 1, STAGE, 2 * STAGE, 50 * STAGE)}
    assert played[0] == played[STAGE - 1] == (0, 1)
    assert played[STAGE] == (2, 3)
    assert played[2 * STAGE] == played[50 * STAGE] == (4, 5)
    assert [phase.fresh for phase in phases] == [False, False, True, True, True, True]


def test_a_round_moves_only_what_has_grown():
    task = make_task()
    state, optimizers = make_state(task)
    step = jax.jit(make_train_step(task, optimizers), static_argnums=3)
    after, metrics = step(state, make_batch(), jax.random.key(0), (0, 1))
    assert all(np.isfinite(value) for value in metrics.values())
    moved = jax.tree.map(lambda a, b: (a != b).any(), *jax.device_get((after.params, state.params)))
    for name, layers in moved["generator"].items():
        assert any(jax.tree.leaves(layers)) == (not name.endswith(("_8", "_16"))), name
    for name, layers in moved["discriminator"].items():
        assert any(jax.tree.leaves(layers)) == (not name.endswith(("_8", "_16"))), name


def test_a_new_stage_starts_with_fresh_moments_once():
    task = make_task()
    state, optimizers = make_state(task)
    step = jax.jit(make_train_step(task, optimizers), static_argnums=3)
    for images, count in ((STAGE, 1), (STAGE + BATCH, 8)):
        opt_state = jax.tree.map(lambda x: x + 7 if x.dtype == jnp.int32 else x, state.opt_state)
        after, _ = step(
            state.replace(images_seen=jnp.int32(images), opt_state=opt_state), make_batch(), jax.random.key(0), (2, 3)
        )
        counts = [int(leaf) for leaf in jax.tree.leaves(after.opt_state) if leaf.dtype == jnp.int32]
        assert set(counts) == {count}


def test_samples_follow_the_depth():
    task = make_task()
    state, _ = make_state(task)
    latent = task.latents(jax.random.key(1), 2)

    def at(depth):
        variables = {"generator": {**state.variables["generator"], "growth": {"depth": jnp.float32(depth)}}}
        return task.generate(state.params, variables, latent, None)

    own = {"params": state.params["generator"]}
    small = task.generator.apply(own, latent, None, train=False, stage=0)
    np.testing.assert_allclose(at(0.0), jnp.repeat(jnp.repeat(small, 4, 1), 4, 2), atol=1e-5)
    whole = task.generator.apply(own, latent, None, train=False)
    np.testing.assert_allclose(at(2.0), whole, atol=1e-5)
    middle = 0.5 * at(1.0) + 0.5 * at(2.0)
    np.testing.assert_allclose(at(1.5), middle, atol=1e-5)


def test_the_depth_is_saved_with_the_average():
    task = make_task()
    state, optimizers = make_state(task)
    step = jax.jit(make_train_step(task, optimizers), static_argnums=3)
    after, _ = step(state.replace(images_seen=jnp.int32(STAGE + FADE // 2)), make_batch(), jax.random.key(0), (2, 3))
    assert float(after.variables["generator"]["growth"]["depth"]) == pytest.approx(0.5)
    assert 0 < float(after.ema_variables["generator"]["growth"]["depth"]) <= 0.5
    judged = task.judge(after.params, after.variables, make_batch()["image"], None)
    assert judged.shape == (BATCH,)


def test_a_fade_longer_than_its_stage_is_refused():
    with pytest.raises(UserError, match=r"config\.task\.fade_images: got 41, accepted are 1 to stage_images=40"):
        make_task(fade_images=41)

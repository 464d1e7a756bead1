"""Progressive growing: when each stage is played, how it fades in, and what it leaves unchanged."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.errors import UserError
from jaxgan.losses import adversarial
from jaxgan.models import progan
from jaxgan.tasks.adversary import Adversary
from jaxgan.tasks.progressive import Progressive
from jaxgan.training.optimizers import make_optimizer
from jaxgan.training.state import init_state
from jaxgan.training.step import due_phases, make_train_step

BATCH, STAGE, FADE = 4, 40, 16
FIRST = STAGE - FADE  # images of the first stage


def make_task(**kwargs):
    generator = progan.Generator(16, 1, base_width=4, max_width=4)
    discriminator = progan.Discriminator(16, base_width=4, max_width=4)
    settings = {"latent_dim": 3, "resolution": 16, "stage_images": STAGE, "fade_images": FADE, **kwargs}
    return Progressive(generator, Adversary(discriminator, adversarial.non_saturating), **settings)


def make_batch():
    return {"image": jax.random.uniform(jax.random.key(5), (BATCH, 16, 16, 1), minval=-1.0)}


def make_state(task):
    optimizers = dict.fromkeys(task.players, make_optimizer({"name": "adam", "learning_rate": 0.01, "b1": 0.0}))
    return jax.jit(lambda: init_state(task, optimizers, jax.random.key(0), make_batch()))(), optimizers


def test_each_stage_has_its_images_and_the_last_goes_on():
    task = make_task()
    phases = task.phases()
    starts = (0, FIRST - 1, FIRST, FIRST + STAGE - 1, FIRST + STAGE, 50 * STAGE)
    assert [due_phases(phases, 0, images) for images in starts] == [(0, 1), (0, 1), (2, 3), (2, 3), (4, 5), (4, 5)]
    assert [phase.fresh for phase in phases] == [False, False, True, True, True, True]


def test_growth_takes_the_published_number_of_images():
    """Karras et al. 2018, appendix A.1, with 600,000 images for each fade and each settling, as their code has it."""
    task = Progressive(None, Adversary(None, adversarial.wasserstein), resolution=16)
    starts = sorted({phase.start for phase in task.phases()})
    assert starts == [0, 600_000, 1_800_000]  # 4 pixels alone; 8 faded in and settled; 16
    depth = lambda images: float(task._depth(jnp.int32(images)))  # noqa: E731
    settled = {600_000: 0.0, 900_000: 0.5, 1_200_000: 1.0, 1_800_000: 1.0, 2_400_000: 2.0, 9_000_000: 2.0}
    assert {images: depth(images) for images in settled} == settled


@pytest.mark.slow
def test_a_round_moves_only_what_has_grown():
    task = make_task()
    state, optimizers = make_state(task)
    step = jax.jit(make_train_step(task, optimizers, images=BATCH), static_argnums=3)
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
    step = jax.jit(make_train_step(task, optimizers, images=BATCH), static_argnums=3)
    for images, count in ((FIRST, 1), (FIRST + BATCH, 8)):
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


def test_the_averaged_generator_has_the_depth_of_the_live_one():
    task = make_task()
    state, optimizers = make_state(task)
    step = jax.jit(make_train_step(task, optimizers, images=BATCH), static_argnums=3)
    after, _ = step(state.replace(images_seen=jnp.int32(FIRST + FADE // 2)), make_batch(), jax.random.key(0), (2, 3))
    assert float(after.variables["generator"]["growth"]["depth"]) == pytest.approx(0.5)
    assert after.ema_variables["generator"]["growth"]["depth"] == after.variables["generator"]["growth"]["depth"]
    judged = task.judge(after.params, after.variables, make_batch()["image"], None)
    assert judged.shape == (BATCH,)


@pytest.mark.parametrize("fade", [0, 41])
def test_a_fade_longer_than_its_stage_is_refused(fade):
    with pytest.raises(UserError, match=rf"fade_images: got {fade}, expected 1 to stage_images=40"):
        make_task(fade_images=fade)


def test_with_fades_as_long_as_the_stages_the_first_stage_is_never_played():
    phases = make_task(fade_images=40).phases()
    assert {phases[index].start for index in due_phases(phases, 0, 0)} == {0}
    assert {phases[index].stop for index in due_phases(phases, 0, 0)} == {40}

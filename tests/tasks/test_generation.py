"""Generation: labels, pairing, penalties, the forms of its losses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from making import make

from jaxgan.losses import adversarial
from jaxgan.models import dcgan
from jaxgan.regularizers.gradient_penalty import r1, wgan_gp
from jaxgan.tasks.adversary import Adversary
from jaxgan.tasks.generation import Generation
from jaxgan.tasks.penalty import Penalty
from jaxgan.training.optimizers import make_optimizer
from jaxgan.training.state import init_state
from jaxgan.training.step import make_train_step

BATCH = 4


def make_task(**kwargs):
    settings = {"num_classes": 3, "widths": (4, 4)}
    generator = dcgan.Generator(16, 1, **settings)
    discriminator = dcgan.Discriminator(16, norm="batch", **settings)
    settings = {"loss": adversarial.relativistic, "latent_dim": 3, "num_classes": 3, **kwargs}
    return make(Generation, generator, discriminator=discriminator, **settings)


def make_batch():
    image = jax.random.uniform(jax.random.key(5), (BATCH, 16, 16, 1), minval=-1.0)
    return {"image": image, "label": jnp.array([0, 1, 2, 0])}


def make_state(task):
    optimizer = make_optimizer({"name": "sgd", "learning_rate": 0.01})
    optimizers = dict.fromkeys(task.players, optimizer)
    return jax.jit(lambda: init_state(task, optimizers, jax.random.key(0), make_batch()))(), optimizers


def with_fakes(task, state, batch):
    return {**batch, "fakes": task.draw(task.phases()[0], state, batch, jax.random.key(1))[0]}


def test_fakes_take_the_labels_of_their_rows():
    task = make_task()
    state, _ = make_state(task)
    batch = make_batch()
    fakes, _ = task.draw(task.phases()[0], state, batch, jax.random.key(1))
    others, _ = task.draw(task.phases()[0], state, {**batch, "label": batch["label"][::-1]}, jax.random.key(1))
    assert fakes.image.shape == batch["image"].shape
    assert fakes.latent.shape == (BATCH, 3)
    assert (fakes.image != others.image).any()
    phase = task.phases()[0]
    values = [
        float(phase.loss(state, {**with_fakes(task, state, batch), "label": label}, jax.random.key(2))[0])
        for label in (batch["label"], jnp.array([1, 2, 0, 1]))
    ]
    assert values[0] != values[1]


def test_the_discriminators_forward_on_its_turn_writes_and_the_frozen_one_does_not():
    task = make_task()
    state, _ = make_state(task)
    batch = with_fakes(task, state, make_batch())
    discriminator, generator = task.phases()
    before = state.variables["discriminator"]["batch_stats"]
    _, aux = discriminator.loss(state, batch, jax.random.key(2))
    after = aux.variables["discriminator"]["batch_stats"]
    assert all((a != b).any() for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(after)))
    assert generator.loss(state, batch, jax.random.key(2))[1].variables == {}


def test_penalties_follow_a_schedule_and_join_the_loss():
    gamma = {"name": "linear", "start": 2.0, "stop": 0.0, "images": 100}
    plain, penalised = make_task(), make_task(penalties=(Penalty("r1", r1, {"gamma": gamma}),))
    state, _ = make_state(plain)
    batch = with_fakes(plain, state, make_batch())
    base = plain.phases()[0].loss(state, batch, jax.random.key(2))[0]
    for images, share in ((0, 1.0), (50, 0.5), (100, 0.0)):
        loss, aux = penalised.phases()[0].loss(state.replace(images_seen=jnp.int32(images)), batch, jax.random.key(2))
        np.testing.assert_allclose(loss - base, aux.metrics["r1"], rtol=1e-3, atol=1e-5)
        if images == 0:
            whole = aux.metrics["r1"]
        np.testing.assert_allclose(aux.metrics["r1"], share * whole, rtol=1e-4, atol=1e-6)


def test_phases_of_n_critic_and_lazy_penalties():
    penalties = (Penalty("r1", r1, every=16), Penalty("wgan_gp", wgan_gp))
    names = [
        (phase.name, phase.every, phase.weight) for phase in make_task(penalties=penalties, generator_every=5).phases()
    ]
    assert names == [("discriminator", 1, 1.0), ("discriminator_r1", 16, 16.0), ("generator", 5, 1.0)]


def test_sampling_uses_the_kept_statistics_and_no_randomness():
    task = make_task()
    state, _ = make_state(task)
    latent, label = task.latents(jax.random.key(3), 2), jnp.array([0, 1])
    together = task.generate(state.ema_params, state.ema_variables, latent, label)
    alone = task.generate(state.ema_params, state.ema_variables, latent[:1], label[:1])
    np.testing.assert_allclose(together[:1], alone, atol=1e-5)
    assert together.dtype == jnp.float32
    assert np.abs(together).max() <= 1.0


@pytest.mark.parametrize("norm", [pytest.param("spectral", marks=pytest.mark.slow), "none"])
def test_a_step_in_half_precision_moves_float32_params(norm):
    generator = dcgan.Generator(16, 1, widths=(4, 4), dtype=jnp.bfloat16)
    discriminator = dcgan.Discriminator(16, widths=(4, 4), norm=norm, stddev=True, dtype=jnp.bfloat16)
    adversary = Adversary(discriminator, adversarial.hinge, penalties=(Penalty("r1", r1),))
    task = Generation(generator, adversary, latent_dim=3)
    state, optimizers = make_state(task)
    step = jax.jit(make_train_step(task, optimizers, images=BATCH), static_argnums=3)
    after, metrics = step(state, {"image": make_batch()["image"]}, jax.random.key(0), (0, 1))
    assert after.skipped == 0
    assert all(np.isfinite(value) for value in metrics.values())
    for name in ("generator", "discriminator"):
        moved = jax.tree.map(lambda a, b: (a != b).any(), *jax.device_get((after.params[name], state.params[name])))
        assert any(jax.tree.leaves(moved))
        assert {leaf.dtype for leaf in jax.tree.leaves(after.params)} == {jnp.dtype("float32")}


def test_spectral_norm_keeps_the_largest_singular_value_at_one():
    discriminator = dcgan.Discriminator(16, widths=(4, 4), norm="spectral")
    image = make_batch()["image"]
    tree = discriminator.init(jax.random.key(0), image, None, train=False)
    for _ in range(30):
        _, updates = discriminator.apply(tree, image, None, train=True, mutable=["spectral"])
        tree = {**tree, **updates}
    kernel = tree["params"]["down_0"]["kernel"].reshape(-1, 4)
    largest = np.linalg.svd(np.asarray(kernel), compute_uv=False)[0]
    np.testing.assert_allclose(tree["spectral"]["down_0_norm"]["down_0/kernel/sigma"], largest, rtol=1e-3)

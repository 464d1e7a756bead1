"""Rematerialisation gives the same numbers with less memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.losses.adversarial import non_saturating
from jaxgan.models import dcgan
from jaxgan.regularizers.gradient_penalty import r1
from jaxgan.tasks.adversary import Adversary
from jaxgan.tasks.generation import Generation
from jaxgan.tasks.penalty import Penalty
from jaxgan.training.optimizers import make_optimizer
from jaxgan.training.remat import recomputed
from jaxgan.training.state import init_state
from jaxgan.training.step import make_train_step

BATCH, MODES, LAYOUT = 32, ("none", "elementwise", "full"), ("NHWC", "HWIO", "NHWC")


@pytest.fixture(scope="module")
def rounds():
    """The metrics and the params after a round of each mode."""
    generator, discriminator = dcgan.Generator(16, 3, widths=(16, 8)), dcgan.Discriminator(16, widths=(8, 16))
    penalties = (Penalty("r1", r1),)
    task = Generation(generator, Adversary(discriminator, non_saturating, penalties=penalties), latent_dim=4)
    optimizers = dict.fromkeys(task.players, make_optimizer({"name": "sgd", "learning_rate": 0.1}))
    batch = {"image": jax.random.uniform(jax.random.key(1), (BATCH, 16, 16, 3), minval=-1.0)}
    state = jax.jit(lambda: init_state(task, optimizers, jax.random.key(0), batch))()

    def played(mode):
        step = jax.jit(make_train_step(task, optimizers, images=BATCH, remat=mode), static_argnums=3)
        after, metrics = step(state, batch, jax.random.key(2), (0, 1))
        return metrics, after.params

    return {mode: played(mode) for mode in MODES}


@pytest.mark.parametrize("mode", MODES[1:])
def test_losses_and_gradients_are_the_same(rounds, mode):
    for ours, theirs in zip(rounds[mode], rounds["none"]):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), ours, theirs)
    assert any(jnp.abs(leaf).max() > 0 for leaf in jax.tree.leaves(rounds[mode][1]))


def test_less_is_stored_for_gradients():
    weights = [jax.random.normal(jax.random.key(i), (3, 3, 8, 8)) for i in range(4)]

    def deep(image):
        for weight in weights:
            image = jnp.tanh(jax.lax.conv_general_dilated(image, weight, (1, 1), "SAME", dimension_numbers=LAYOUT))
        return jnp.square(image).sum()

    def kept(mode):
        image = jax.ShapeDtypeStruct((2, 16, 16, 8), jnp.float32)
        residuals = jax.eval_shape(lambda x: jax.vjp(recomputed(deep, mode), x)[1], image)
        return sum(leaf.size for leaf in jax.tree.leaves(residuals) if leaf.shape == image.shape)

    none, elementwise, full = map(kept, MODES)
    assert none > elementwise > full
    assert full == 2 * 16 * 16 * 8  # the argument alone

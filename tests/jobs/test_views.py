"""The scores and pictures that a run reports, with the discriminator's current weights."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.augment.diffaugment import DiffAugment
from jaxgan.building.assemble import fill_in, make_task
from jaxgan.building.opening import open_source
from jaxgan.config.run import DataConfig, RunConfig
from jaxgan.jobs.views import make_view
from jaxgan.parallel.mesh import make_mesh
from jaxgan.training.optimizers import make_optimizer
from jaxgan.training.state import init_state


class NoScores:
    """An evaluator without scores that calls the product."""

    def run(self, model, seed):
        self.made = model.call(latent=np.ones((3, 4), np.float32))["image"]
        return {}


def test_logits_use_the_current_weights_without_augmentation():
    config = RunConfig(
        networks={
            "generator": {"name": "mlp.Generator", "widths": (8,)},
            "discriminator": {"name": "mlp.Discriminator", "widths": (8,)},
        },
        task={"name": "generation.Generation", "adversary": {"loss": "adversarial.non_saturating"}, "latent_dim": 4},
        optimizers={},
        data=DataConfig("jaxgan_digits", resolution=8, split="train", evaluation_split="test"),
        images=1,
    )
    spec = open_source(config.data, "train").spec
    config = fill_in(config, spec)
    task = make_task(config)
    task = dataclasses.replace(task, adversary=dataclasses.replace(task.adversary, augment=DiffAugment()))
    optimizers = dict.fromkeys(task.players, make_optimizer({"name": "sgd", "learning_rate": 0.1}))
    state = init_state(task, optimizers, jax.random.key(0), {"image": jnp.zeros((2, 8, 8, 1))})
    # makes the averaged weights differ
    state = state.replace(ema_params=jax.tree.map(jnp.zeros_like, state.ema_params))

    evaluator = NoScores()
    found = make_view(config, spec, task, {"": evaluator}, make_mesh({"data": -1})).scores(state)
    averaged = task.generate(state.ema_params, state.ema_variables, jnp.ones((3, 4)), None)
    np.testing.assert_allclose(evaluator.made, averaged, atol=1e-6)
    data = open_source(config.data, "train").read(np.arange(spec.size))["image"]
    latents = task.latents(jax.random.key(7), 1000)
    fakes = task.generate(state.params, state.variables, latents, None)
    for name, images in (("train", data.astype(np.float32) / 127.5 - 1.0), ("fake", fakes)):
        logits = np.asarray(task.judge(state.params, state.variables, images, None))
        error = logits.std() / np.sqrt(1000)
        assert abs(found[f"held_out/{name}_logits"] - logits.mean()) < 6 * error
    assert set(found) == {"held_out/train_logits", "held_out/real_logits", "held_out/fake_logits"}
    average = task.generate(state.ema_params, state.ema_variables, latents, None)
    logits = task.judge(state.params, state.variables, average, None)
    assert abs(found["held_out/fake_logits"] - logits.mean()) > 0.01

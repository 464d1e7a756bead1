"""A task small enough to be checked by hand: affine networks on four-pixel images."""

import dataclasses

import jax
import jax.numpy as jnp
import optax

from jaxgan.game import GENERATOR, Judgement
from jaxgan.losses.adversarial import non_saturating
from jaxgan.tasks.adversary import Adversary
from jaxgan.tasks.generation import Fakes, Generation
from jaxgan.training.state import init_state

BATCH, LATENT = 8, 3
SGD = lambda images, rollbacks: optax.sgd(0.1)  # noqa: E731


@dataclasses.dataclass(frozen=True)
class AffineGenerator:
    def init(self, key, latent, label, *, train):
        return {
            "params": {"w": jax.random.normal(key, (LATENT, 4)), "b": jnp.zeros(4)},
            "stats": {"mean": jnp.zeros(4)},
        }

    def apply(self, tree, latent, label, *, train, mutable=(), rngs=None):
        out = latent @ tree["params"]["w"] + tree["params"]["b"]
        image = jnp.tanh(out).reshape(-1, 2, 2, 1)
        return (image, {"stats": {"mean": 0.9 * tree["stats"]["mean"] + 0.1 * out.mean(0)}}) if train else image


@dataclasses.dataclass(frozen=True)
class QuadraticDiscriminator:
    def init(self, key, image, label, *, train):
        return {"params": {"w": jax.random.normal(key, (4,)), "q": jnp.ones(4) * 0.1}}

    def apply(self, tree, image, label, *, train, mutable=(), rngs=None):
        x = image.reshape(image.shape[0], -1)
        return Judgement(logits=x @ tree["params"]["w"] + jnp.square(x) @ tree["params"]["q"]), {}


@dataclasses.dataclass(frozen=True)
class GivenLatents(Generation):
    """Generation whose latents come with the batch, so that two ways to play can be compared."""

    def draw(self, phase, state, batch, key):
        if "latent" not in batch:
            return super().draw(phase, state, batch, key)
        tree = {"params": state.params[GENERATOR], **state.variables[GENERATOR]}
        kinds = list(state.variables[GENERATOR])
        image, updates = self.generator.apply(tree, batch["latent"], None, train=True, mutable=kinds)
        return Fakes(image, batch["latent"], jax.random.key_data(key)), {GENERATOR: updates}


def make_task(**kwargs):
    kwargs = {"loss": non_saturating, "latent_dim": LATENT, **kwargs}
    own = {field.name for field in dataclasses.fields(Adversary)} & kwargs.keys()
    adversary = Adversary(QuadraticDiscriminator(), **{name: kwargs.pop(name) for name in own})
    return GivenLatents(AffineGenerator(), adversary, **kwargs)


def make_batch(seed=0, latents=True):
    keys = jax.random.split(jax.random.key(100 + seed))
    batch = {"image": jnp.tanh(jax.random.normal(keys[0], (BATCH, 2, 2, 1)))}
    return {**batch, "latent": jax.random.normal(keys[1], (BATCH, LATENT))} if latents else batch


def make_state(task, optimizer=SGD):
    return init_state(task, dict.fromkeys(task.players, optimizer), jax.random.key(7), make_batch())


def optimizers(task, optimizer=SGD):
    return dict.fromkeys(task.players, optimizer)

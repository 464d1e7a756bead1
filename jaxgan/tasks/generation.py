"""Image generation from latents, with or without class labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from jaxgan.errors import UserError
from jaxgan.game import (
    DISCRIMINATOR,
    GENERATOR,
    AdversarialLoss,
    Array,
    Aux,
    Batch,
    Critic,
    Judgement,
    Key,
    Params,
    Phase,
    State,
    Variables,
)
from jaxgan.losses.adversarial import per_example
from jaxgan.schedules import Number, at


@dataclasses.dataclass(frozen=True)
class Penalty:
    """A regularizer of the discriminator: `function(critic, real, fake, key, **arguments) -> [B]`.

    Arguments may be schedules. With `every` above 1 the penalty is lazy: a phase of its own at every
    so many steps, its weight times `every` (Karras et al. 2020, appendix B).
    """

    name: str
    function: Callable[..., Array]
    arguments: Mapping[str, Number] = dataclasses.field(default_factory=dict)
    every: int = 1

    def __call__(self, critic: Critic, state: State, batch: Batch, key: Key) -> Array:
        """The mean penalty over the batch, a scalar."""
        arguments = {
            name: at(value, state.images_seen, name) if isinstance(value, Mapping) else value
            for name, value in self.arguments.items()
        }
        fakes = jax.lax.stop_gradient(batch["fakes"])
        return self.function(critic, batch["image"], fakes, key, **arguments).mean()


@dataclasses.dataclass(frozen=True)
class Generation:
    """A generator of images from noise against a discriminator.

    The fakes take the labels of the reals of their rows, so that a relativistic pair shares its class.
    """

    generator: Any  # (latent [B,Z], label [B] | None, *, train) -> image [B,H,W,C] in [-1, 1]
    discriminator: Any  # (image, label, *, train) -> Judgement
    loss: AdversarialLoss
    latent_dim: int = 100
    num_classes: int = 0  # 0: without labels
    penalties: tuple[Penalty, ...] = ()
    generator_every: int = 1  # n_critic: discriminator steps for each of the generator

    def __post_init__(self) -> None:
        """Raises UserError for numbers that no game can have."""
        for name, least in (("latent_dim", 1), ("generator_every", 1), ("num_classes", 0)):
            if getattr(self, name) < least:
                raise UserError(f"config.task.{name}: got {getattr(self, name)}, accepted is {least} or more")

    @property
    def players(self) -> Mapping[str, tuple[str, ...]]:
        """Each player owns the network of its name."""
        return {DISCRIMINATOR: (DISCRIMINATOR,), GENERATOR: (GENERATOR,)}

    def init(self, key: Key, batch: Batch) -> tuple[dict[str, Params], dict[str, Variables]]:
        """Params and variables of both networks; `batch` needs shapes only."""
        generator_key, discriminator_key = jax.random.split(key)
        image, label = batch["image"], self._label(batch)
        latent = jnp.zeros((image.shape[0], self.latent_dim), jnp.float32)
        trees = {
            GENERATOR: self.generator.init(generator_key, latent, label, train=False),
            DISCRIMINATOR: self.discriminator.init(discriminator_key, image, label, train=False),
        }
        variables = {name: {k: v for k, v in tree.items() if k != "params"} for name, tree in trees.items()}
        return {name: tree["params"] for name, tree in trees.items()}, variables

    def init_carry(self) -> dict[str, Any]:
        """Generation remembers nothing."""
        return {}

    def phases(self) -> tuple[Phase, ...]:
        """The discriminator, its lazy penalties, the generator."""
        lazy = [
            Phase(
                f"{DISCRIMINATOR}_{penalty.name}",
                DISCRIMINATOR,
                partial(self._penalty_loss, penalty),
                weight=float(penalty.every),
                every=penalty.every,
                fakes=True,
            )
            for penalty in self.penalties
            if penalty.every > 1
        ]
        return (
            Phase(DISCRIMINATOR, DISCRIMINATOR, self._discriminator_loss, fakes=True),
            *lazy,
            Phase(GENERATOR, GENERATOR, self._generator_loss, every=self.generator_every, fakes=True),
        )

    def draw(self, state: State, batch: Batch, key: Key) -> tuple[Array, dict[str, Variables]]:
        """Fakes `[B,H,W,C]` for the labels of the batch, and the generator's new variables."""
        image = batch["image"]
        latent = self.latents(key, image.shape[0])
        fakes, variables = _apply(self.generator, GENERATOR, state, latent, self._label(batch))
        return fakes, {GENERATOR: variables}

    def generate(
        self, params: dict[str, Params], variables: dict[str, Variables], latent: Array, label: Array | None
    ) -> Array:
        """Images `[N,H,W,C]` in [-1, 1], float32, from statistics kept in training."""
        tree = {"params": params[GENERATOR], **variables[GENERATOR]}
        label = label if self.num_classes else None
        return self.generator.apply(tree, latent, label, train=False).astype(jnp.float32)

    def latents(self, key: Key, count: int) -> Array:
        """Standard normal latents `[count,Z]`."""
        return jax.random.normal(key, (count, self.latent_dim))

    def _label(self, batch: Batch) -> Array | None:
        return batch["label"] if self.num_classes else None

    def _judge(
        self, state: State, variables: Variables, image: Array, label: Array | None
    ) -> tuple[Judgement, Variables]:
        moved = state.replace(variables={**state.variables, DISCRIMINATOR: variables})
        return _apply(self.discriminator, DISCRIMINATOR, moved, image, label)

    def _critic(self, state: State, label: Array | None) -> Critic:
        return lambda image: self._judge(state, state.variables[DISCRIMINATOR], image, label)[0].logits

    def _discriminator_loss(self, state: State, batch: Batch, key: Key) -> tuple[Array, Aux]:
        label, fakes = self._label(batch), jax.lax.stop_gradient(batch["fakes"])
        real, variables = self._judge(state, state.variables[DISCRIMINATOR], batch["image"], label)
        fake, variables = self._judge(state, variables, fakes, label)
        loss = per_example(jax.tree.map(self.loss.discriminator, real.logits, fake.logits)).mean()
        real_score, fake_score = per_example(real.logits), per_example(fake.logits)
        metrics = {
            "real_logits": real_score.mean(),
            "fake_logits": fake_score.mean(),
            "accuracy": (real_score > fake_score).astype(jnp.float32).mean(),
        }
        critic = self._critic(state, label)
        for index, penalty in enumerate(self.penalties):
            if penalty.every == 1:
                metrics[penalty.name] = penalty(critic, state, batch, jax.random.fold_in(key, index))
                loss += metrics[penalty.name]
        return loss, Aux(metrics=metrics, variables={DISCRIMINATOR: variables})

    def _penalty_loss(self, penalty: Penalty, state: State, batch: Batch, key: Key) -> tuple[Array, Aux]:
        value = penalty(self._critic(state, self._label(batch)), state, batch, key)
        return value, Aux(metrics={penalty.name: value})

    def _generator_loss(self, state: State, batch: Batch, key: Key) -> tuple[Array, Aux]:
        del key
        critic = self._critic(state, self._label(batch))
        # a loss that does not look at the reals lets the compiler drop their forward
        real_logits, fake_logits = critic(batch["image"]), critic(batch["fakes"])
        return per_example(jax.tree.map(self.loss.generator, real_logits, fake_logits)).mean(), Aux()


def _apply(network: Any, name: str, state: State, *inputs: Any) -> tuple[Any, Variables]:
    """A training forward, and the variables as they stand after it."""
    variables = state.variables[name]
    output, updates = network.apply(
        {"params": state.params[name], **variables}, *inputs, train=True, mutable=list(variables)
    )
    return output, {**variables, **updates}

"""A task of four networks: one player owns a mapping and a synthesis, one the discriminator; a teacher is frozen."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.config.domains import Count, Given, NotNegative
from jaxgan.fields import Field, Spec, pixel_field
from jaxgan.game import Asked, Aux, Batch, Made, Memory, Network, Phase, Product, State, Weights
from jaxgan.tasks.adversary import Adversary, Shown

PAINTERS = MAPPING, SYNTHESIS = ("mapping", "synthesis")
TEACHER = "teacher"


class StyleMapping(nn.Module):
    """Latents [B,Z] -> styles [B,width]."""

    width: Count = 32

    @nn.compact
    def __call__(self, latent: jax.Array, *, train: bool = False) -> jax.Array:
        """The styles."""
        return nn.leaky_relu(nn.Dense(self.width, name="dense")(latent), 0.2)


class Synthesis(nn.Module):
    """Styles [B,width] -> images [B,H,W,C] in [-1, 1]."""

    resolution: Given[Count]
    channels: Given[Count]

    @nn.compact
    def __call__(self, style: jax.Array, *, train: bool = False) -> jax.Array:
        """The images."""
        side = self.resolution
        pixels = nn.Dense(side * side * self.channels, name="dense")(style)
        return nn.tanh(pixels).reshape(-1, side, side, self.channels)


class Teacher(nn.Module):
    """Images -> features [B,F], frozen."""

    features: Count = 16

    @nn.compact
    def __call__(self, image: jax.Array, *, train: bool = False) -> jax.Array:
        """The features."""
        return nn.relu(nn.Conv(self.features, (4, 4), (4, 4), name="conv")(image)).mean(axis=(1, 2))


@dataclasses.dataclass(frozen=True)
class FourNetworks:
    """Images from latents, by two networks of a player; the mean of their teacher's features matches the reals'."""

    mapping: Given[Network]
    synthesis: Given[Network]
    teacher: Given[Network]
    adversary: Adversary
    latent_dim: Count = 16
    teacher_weight: NotNegative = 1.0

    num_classes = 0

    @property
    def asks(self) -> Spec:
        """Images."""
        return {"image": pixel_field(None, None, None)}

    @property
    def players(self) -> Mapping[str, tuple[str, ...]]:
        """The painter owns two networks; the teacher has no player."""
        return {self.adversary.player: (self.adversary.network_name,), "painter": PAINTERS}

    @property
    def averaged(self) -> tuple[str, ...]:
        """Both networks of the painter."""
        return PAINTERS

    @property
    def products(self) -> Mapping[str, Product]:
        """Images from latents, and features of images."""
        image = Field((self.synthesis.resolution, self.synthesis.resolution, self.synthesis.channels), kind="pixels")
        latent = {"latent": Field((self.latent_dim,), kind="latent", law="normal")}

        def paint(weights: Weights, asked: Asked, memory: Memory) -> tuple[Made, Memory]:
            return {"image": self._paint(weights.params, asked["latent"])}, memory

        return {"painter": Product(latent, {"image": image}, PAINTERS, paint)}

    def init(self, key: jax.Array, batch: Batch) -> tuple[dict[str, Any], dict[str, Any]]:
        """Params of all four."""
        keys, image = jax.random.split(key, 4), batch["image"]
        latent = jnp.zeros((image.shape[0], self.latent_dim))
        mapping = self.mapping.init(keys[0], latent)
        trees = {
            MAPPING: mapping,
            SYNTHESIS: self.synthesis.init(keys[1], self.mapping.apply(mapping, latent)),
            TEACHER: self.teacher.init(keys[2], image),
            self.adversary.network_name: self.adversary.init(keys[3], image),
        }
        rest = {name: {k: v for k, v in tree.items() if k != "params"} for name, tree in trees.items()}
        return {name: tree["params"] for name, tree in trees.items()}, rest

    def init_carry(self) -> dict[str, Any]:
        """The initial memory of the adversary."""
        return self.adversary.init_carry()

    def phases(self) -> tuple[Phase, ...]:
        """The discriminator, then the painter."""

        def show(state: State, batch: Batch, key: jax.Array) -> Shown:
            return Shown(batch["image"], batch["fakes"])

        return *self.adversary.phases(show, drawn_by="painter"), Phase(
            "painter", "painter", self._loss, drawn_by="painter"
        )

    def draw(self, phase: Phase, state: State, batch: Batch, key: jax.Array) -> tuple[jax.Array, dict[str, Any]]:
        """Images from new latents."""
        latent = jax.random.normal(key, (batch["image"].shape[0], self.latent_dim))
        return self._paint(state.params, latent), {}

    def _paint(self, params: Mapping[str, Any], latent: jax.Array) -> jax.Array:
        style = self.mapping.apply({"params": params[MAPPING]}, latent)
        return self.synthesis.apply({"params": params[SYNTHESIS]}, style)

    def _loss(self, state: State, batch: Batch, key: jax.Array) -> tuple[jax.Array, Aux]:
        push = self.adversary.push(state, batch["image"], batch["fakes"], key)
        seen = lambda image: self.teacher.apply({"params": state.params[TEACHER]}, image).mean(axis=0)  # noqa: E731
        taught = jnp.square(seen(batch["image"]) - seen(batch["fakes"])).mean()
        return push.loss + self.teacher_weight * taught, Aux({**push.metrics, "taught": taught})

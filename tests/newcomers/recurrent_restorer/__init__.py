"""A recurrent restorer of films: it enlarges each frame with a memory of the frames before."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.augment.degradations import Bicubic
from jaxgan.config.domains import Count, Given
from jaxgan.fields import Field, Spec, pixel_field
from jaxgan.game import Asked, Aux, Batch, Made, Memory, Network, Phase, Product, State, Weights

CLIP = Field((None, None, None, None), "uint8", "pixels")
RESTORER = "restorer"


class Enlarger(nn.Module):
    """A frame [B,h,w,C] and a memory [B,h,w,F] -> the frame [B,2h,2w,C] and the memory after it."""

    channels: Given[Count]
    features: Count = 8
    scale = 2

    @nn.compact
    def __call__(self, frame: jax.Array, memory: jax.Array, *, train: bool = False) -> tuple[jax.Array, jax.Array]:
        """Both."""
        seen = jnp.concatenate([frame, memory], axis=-1)
        memory = nn.tanh(nn.Conv(self.features, (3, 3), name="memory")(seen))
        fine = nn.Conv(self.channels * self.scale**2, (3, 3), name="fine")(memory)
        b, h, w, _ = frame.shape
        fine = fine.reshape(b, h, w, 2, 2, self.channels).transpose(0, 1, 3, 2, 4, 5).reshape(b, 2 * h, 2 * w, -1)
        return frame.repeat(2, axis=1).repeat(2, axis=2) + fine, memory

    def start(self, frame: jax.Array) -> jax.Array:
        """The memory before a first frame."""
        return jnp.zeros((*frame.shape[:3], self.features))


@dataclasses.dataclass(frozen=True)
class Enlarging:
    """Restores clips that were reduced to half their size."""

    restorer: Given[Network]

    num_classes = 0
    averaged = (RESTORER,)
    degradation = Bicubic(scale=2)

    @property
    def asks(self) -> Spec:
        """Clips."""
        return {"image": CLIP}

    @property
    def players(self) -> Mapping[str, tuple[str, ...]]:
        """The restorer only, without a discriminator."""
        return {RESTORER: (RESTORER,)}

    @property
    def products(self) -> Mapping[str, Product]:
        """Films frame by frame, and whole clips."""
        channels = self.restorer.channels
        frame = {"condition": pixel_field(None, None, channels)}, {"image": pixel_field(None, None, channels)}
        of_clip = Field((None, None, None, channels), "uint8", "pixels")

        def start(weights: Weights, asked: Asked) -> Memory:
            return self.restorer.start(asked["condition"])

        def step(weights: Weights, asked: Asked, memory: Memory) -> tuple[Made, Memory]:
            image, memory = self._step(weights.params, asked["condition"], memory)
            return {"image": image}, memory

        def whole(weights: Weights, asked: Asked, memory: Memory) -> tuple[Made, Memory]:
            return {"image": self._clip(weights.params, asked["condition"])}, memory

        needs = {"scale": 2, "receptive_field": 2, "degradation": self.degradation}
        return {
            "frames": Product(*frame, (RESTORER,), step, start, **needs),
            "clips": Product({"condition": of_clip}, {"image": of_clip}, (RESTORER,), whole, scale=2),
        }

    def init(self, key: jax.Array, batch: Batch) -> tuple[dict[str, Any], dict[str, Any]]:
        """The restorer's params."""
        frame = batch["image"][:, 0]
        return {RESTORER: self.restorer.init(key, frame, self.restorer.start(frame))["params"]}, {RESTORER: {}}

    def init_carry(self) -> dict[str, Any]:
        """Nothing: the network's memory lasts for a clip only."""
        return {}

    def phases(self) -> tuple[Phase, ...]:
        """The phase of the only player."""
        return (Phase(RESTORER, RESTORER, self._loss),)

    def draw(self, phase: Phase, state: State, batch: Batch, key: jax.Array) -> tuple[Any, dict[str, Any]]:
        """No phase has a draw."""
        raise NotImplementedError

    def _loss(self, state: State, batch: Batch, key: jax.Array) -> tuple[jax.Array, Aux]:
        clip = batch["image"]
        frames = self.degradation(key, clip.reshape(-1, *clip.shape[2:]))
        loss = jnp.abs(self._clip(state.params, frames.reshape(*clip.shape[:2], *frames.shape[1:])) - clip).mean()
        return loss, Aux({"l1": loss})

    def _clip(self, params: Mapping[str, Any], clip: jax.Array) -> jax.Array:
        memory, made = self.restorer.start(clip[:, 0]), []
        for number in range(clip.shape[1]):
            image, memory = self._step(params, clip[:, number], memory)
            made.append(image)
        return jnp.stack(made, axis=1)

    def _step(self, params: Mapping[str, Any], frame: jax.Array, memory: jax.Array) -> tuple[jax.Array, jax.Array]:
        made: tuple[jax.Array, jax.Array] = self.restorer.apply({"params": params[RESTORER]}, frame, memory)
        return made

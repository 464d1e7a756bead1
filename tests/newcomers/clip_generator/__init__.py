"""Clips from latents, with two discriminators: one of frames, one of whole clips."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.config.domains import Count, Given
from jaxgan.data.sources import DataSpec, fingerprint
from jaxgan.fields import Field, Spec, pixel_field
from jaxgan.game import Asked, Aux, Batch, Judgement, Made, Memory, Network, Phase, Product, State, Weights
from jaxgan.tasks.adversary import Adversary, Shown

ANY = Field((None, None, None, None), "uint8", "pixels")  # clips


class Dots:
    """`size` clips of a square that moves by one pixel per frame in a random direction."""

    spec: DataSpec

    def __init__(self, split: Given[str], size: Count = 64, side: Count = 8, frames: Count = 4):
        reported = fingerprint("dots", split, size, side, frames)
        self.spec = DataSpec("dots", split, size, {"image": pixel_field(side, side, 1, frames=frames)}, reported)

    def read(self, indices: Sequence[int] | np.ndarray) -> dict[str, np.ndarray]:
        """The clips at `indices`: image uint8 `[n,T,H,W,1]`."""
        frames, side, _, _ = self.spec.image.known
        places = np.arange(side)

        def draw(index: int) -> np.ndarray:
            random = np.random.default_rng((*self.spec.split.encode(), index))
            start, pace = random.integers(0, side, 2), random.integers(-1, 2, 2)
            rows, columns = ((places - start[k] - pace[k] * np.arange(frames)[:, None]) % side < 3 for k in (0, 1))
            return (rows[:, :, None] & columns[:, None, :])[..., None] * np.uint8(255)

        return {"image": np.stack([draw(int(index)) for index in indices])}


class Generator(nn.Module):
    """Latents [B,Z] -> clips [B,T,H,W,C] in [-1, 1]."""

    frames: Given[Count]
    resolution: Given[Count]
    channels: Given[Count]
    width: Count = 32

    @nn.compact
    def __call__(self, latent: jax.Array, *, train: bool = False) -> jax.Array:
        """The clips."""
        hidden = nn.leaky_relu(nn.Dense(self.width, name="dense")(latent), 0.2)
        shape = (self.frames, self.resolution, self.resolution, self.channels)
        pixels = nn.Dense(int(np.prod(shape)), name="pixels")(hidden)
        return nn.tanh(pixels).reshape(-1, *shape)


class Discriminator(nn.Module):
    """Pixels [B,...] -> logits [B]: of frames, or of clips."""

    width: Count = 32

    @nn.compact
    def __call__(self, image: jax.Array, given: Any = None, *, train: bool = False) -> Judgement:
        """The judgement."""
        hidden = nn.leaky_relu(nn.Dense(self.width, name="dense")(image.reshape(len(image), -1)), 0.2)
        return Judgement(nn.Dense(1, name="logit")(hidden)[:, 0])


def frames_of(clip: jax.Array) -> jax.Array:
    """All frames [B*T,H,W,C] of clips [B,T,H,W,C]."""
    return clip.reshape(-1, *clip.shape[2:])


@dataclasses.dataclass(frozen=True)
class ClipGeneration:
    """Clips from latents, trained so that each frame and the whole clip look real."""

    generator: Given[Network]
    of_frames: Adversary
    of_clips: Adversary
    latent_dim: Count = 8

    num_classes = 0
    averaged = ("generator",)

    @property
    def asks(self) -> Spec:
        """Clips."""
        return {"image": ANY}

    @property
    def players(self) -> Mapping[str, tuple[str, ...]]:
        """The generator and the two discriminators."""
        judges = {each.player: (each.network_name,) for each in (self.of_frames, self.of_clips)}
        return {**judges, "generator": ("generator",)}

    @property
    def products(self) -> Mapping[str, Product]:
        """Clips from latents."""
        made, side = self.generator, self.generator.resolution
        latent = {"latent": Field((self.latent_dim,), kind="latent", law="normal")}
        clip = {"image": pixel_field(side, side, made.channels, frames=made.frames)}

        def generate(weights: Weights, asked: Asked, memory: Memory) -> tuple[Made, Memory]:
            return {"image": made.apply({"params": weights.params["generator"]}, asked["latent"])}, memory

        return {"generator": Product(latent, clip, ("generator",), generate)}

    def init(self, key: jax.Array, batch: Batch) -> tuple[dict[str, Any], dict[str, Any]]:
        """Params of all three."""
        keys, clip = jax.random.split(key, 3), batch["image"]
        trees = {
            "generator": self.generator.init(keys[0], jnp.zeros((1, self.latent_dim))),
            self.of_frames.network_name: self.of_frames.init(keys[1], frames_of(clip)),
            self.of_clips.network_name: self.of_clips.init(keys[2], clip),
        }
        return {name: tree["params"] for name, tree in trees.items()}, {name: {} for name in trees}

    def init_carry(self) -> dict[str, Any]:
        """The initial memory of both adversaries."""
        return self.of_frames.init_carry() | self.of_clips.init_carry()

    def phases(self) -> tuple[Phase, ...]:
        """Both discriminators, then the generator."""

        def frames(state: State, batch: Batch, key: jax.Array) -> Shown:
            return Shown(frames_of(batch["image"]), frames_of(batch["fakes"]))

        def clips(state: State, batch: Batch, key: jax.Array) -> Shown:
            return Shown(batch["image"], batch["fakes"])

        generator = Phase("generator", "generator", self._loss, drawn_by="generator")
        return *self.of_frames.phases(frames), *self.of_clips.phases(clips), generator

    def draw(self, phase: Phase, state: State, batch: Batch, key: jax.Array) -> tuple[jax.Array, dict[str, Any]]:
        """Clips from new latents."""
        latent = jax.random.normal(key, (len(batch["image"]), self.latent_dim))
        return self.generator.apply({"params": state.params["generator"]}, latent), {}

    def _loss(self, state: State, batch: Batch, key: jax.Array) -> tuple[jax.Array, Aux]:
        real, fake = batch["image"], batch["fakes"]
        frames = self.of_frames.push(state, frames_of(real), frames_of(fake), key)
        clips = self.of_clips.push(state, real, fake, key)
        return frames.loss + clips.loss, Aux({**frames.metrics, **clips.metrics})

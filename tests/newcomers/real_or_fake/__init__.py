"""A classifier of real images against coarse and noisy copies: no generator, no adversary, no average."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.config.domains import Count, Given, NotNegative, Several
from jaxgan.data.sources import Source
from jaxgan.errors import UserError
from jaxgan.evaluators.evaluator import Trained
from jaxgan.evaluators.neighbours import rank_test
from jaxgan.evaluators.reference import identity, random_examples
from jaxgan.fields import Field, Spec, pixel_field
from jaxgan.game import Asked, Aux, Batch, Made, Memory, Network, Phase, Product, State, Weights
from jaxgan.losses.adversarial import per_example

CLASSIFIER = "classifier"
NOISE = 0.2  # standard deviation of the copies' noise


class Classifier(nn.Module):
    """Images [B,H,W,C] -> logits [B], above 0 for real ones."""

    width: Count = 8

    @nn.compact
    def __call__(self, image: jax.Array) -> jax.Array:
        """The logits."""
        features = nn.leaky_relu(nn.Conv(self.width, (4, 4), (2, 2), name="conv")(image), 0.2)
        return nn.Dense(1, name="dense")(jnp.abs(features).mean(axis=(1, 2)))[:, 0]


def copies(key: jax.Array, image: jax.Array, noise: float) -> jax.Array:
    """The stand-in for generated images: each image reduced to half its size and enlarged again, with noise."""
    b, h, w, c = image.shape
    small = image.reshape(b, h // 2, 2, w // 2, 2, c).mean(axis=(2, 4))
    coarse = small.repeat(2, axis=1).repeat(2, axis=2)
    return jnp.clip(coarse + noise * jax.random.normal(key, image.shape), -1.0, 1.0)


@dataclasses.dataclass(frozen=True)
class RealOrFake:
    """One player, which owns the only network."""

    classifier: Given[Network]
    noise: NotNegative = NOISE

    num_classes = 0
    averaged = ()

    @property
    def asks(self) -> Spec:
        """Images."""
        return {"image": pixel_field(None, None, None)}

    @property
    def players(self) -> Mapping[str, tuple[str, ...]]:
        """The only player."""
        return {CLASSIFIER: (CLASSIFIER,)}

    @property
    def products(self) -> Mapping[str, Product]:
        """Logits of images."""

        def classify(weights: Weights, asked: Asked, memory: Memory) -> tuple[Made, Memory]:
            return {"logits": self._logits(weights.params, asked["image"])}, memory

        image = Field((None, None, None), kind="pixels")
        return {CLASSIFIER: Product({"image": image}, {"logits": Field(kind="logits")}, (CLASSIFIER,), classify)}

    def init(self, key: jax.Array, batch: Batch) -> tuple[dict[str, Any], dict[str, Any]]:
        """Params of the network."""
        return {CLASSIFIER: self.classifier.init(key, batch["image"])["params"]}, {CLASSIFIER: {}}

    def init_carry(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def phases(self) -> tuple[Phase, ...]:
        """The phase of the only player."""
        return (Phase(CLASSIFIER, CLASSIFIER, self._loss),)

    def draw(self, phase: Phase, state: State, batch: Batch, key: jax.Array) -> tuple[Any, dict[str, Any]]:
        """Never called: no phase has a draw."""
        raise NotImplementedError

    def _logits(self, params: Mapping[str, Any], image: jax.Array) -> jax.Array:
        return self.classifier.apply({"params": params[CLASSIFIER]}, image)

    def _loss(self, state: State, batch: Batch, key: jax.Array) -> tuple[jax.Array, Aux]:
        real, fake = (self._logits(state.params, x) for x in (batch["image"], copies(key, batch["image"], self.noise)))
        loss = per_example(jax.nn.softplus(-real) + jax.nn.softplus(fake)).mean()
        return loss, Aux({"accuracy": ((real > 0).mean() + (fake <= 0).mean()) / 2})


class HeldOut:
    """How well the logits separate held-out images from their copies."""

    fits = ("pixels", "logits")
    names = ("auc", "accuracy")
    best_mode = "max"
    manifest: dict[str, Any]

    def __init__(self, held_out: Given[Source | None], *, samples: Given[Several] = 1_000, noise: NotNegative = NOISE):
        """Uses at most `samples` images. Raises UserError if none are held out."""
        if held_out is None:
            raise UserError("config.data.evaluation_split: got the split that is trained on, expected another one")
        self._images = random_examples(held_out, samples, 0).images.astype(np.float32) / 127.5 - 1
        self.manifest = {"data": identity(held_out), "samples": len(self._images), "noise": noise}
        self._noise = noise

    def run(self, model: Trained, seed: int) -> dict[str, float]:
        """The area under the ROC curve, and the accuracy."""
        fakes = copies(jax.random.key(seed), jnp.asarray(self._images), self._noise)
        real, fake = (model.call(image=np.asarray(images))["logits"] for images in (self._images, fakes))
        right = (np.mean(real > 0) + np.mean(fake <= 0)) / 2
        return {"auc": rank_test(fake, real).smaller, "accuracy": float(right)}

    def picture(self, model: Trained) -> None:
        """Nothing."""

"""Images of two unpaired sources, translated both ways: cycles (Zhu et al. 2017), and a pool of past fakes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.building.opening import open_source
from jaxgan.config.domains import Count, Given, NotNegative
from jaxgan.config.run import DataConfig
from jaxgan.data.sources import DataSpec
from jaxgan.fields import Spec, pixel_field
from jaxgan.game import AdversarialLoss, Aux, Batch, Network, Phase, Product, State, Weights
from jaxgan.layers.collective import all_rows
from jaxgan.tasks.adversary import Adversary, Shown

WAYS = A_TO_B, B_TO_A = ("a_to_b", "b_to_a")
FIELDS = {"a": "image", "b": "b/image"}  # of the data, by domain


class Negatives:
    """The digits as negatives, dark on white, without labels."""

    spec: DataSpec

    def __init__(self, config: Given[DataConfig], split: Given[str]):
        self._digits = open_source(dataclasses.replace(config, name="jaxgan_digits", source={}), split)
        reported, fields = (("data", "the negatives of jaxgan_digits"),), {"image": self._digits.spec.image}
        self.spec = dataclasses.replace(self._digits.spec, name="negatives", fields=fields, findings=reported)

    def read(self, indices: Any) -> dict[str, Any]:
        return {"image": 255 - self._digits.read(indices)["image"]}


class Negative:
    """The true mapping from one domain to the other, for scores."""

    scale, masks, label = 1, False, "negative"

    def describe(self) -> str:
        return "negatives"

    def __call__(self, key: jax.Array, image: jax.Array) -> jax.Array:
        return -image


class Translator(nn.Module):
    """Images [B,H,W,C] of one domain -> images of the other."""

    channels: Given[Count]
    width: Count = 8

    @nn.compact
    def __call__(self, image: jax.Array, *, train: bool = False) -> jax.Array:
        x = nn.relu(nn.Conv(self.width, (3, 3), name="first")(image))
        return nn.tanh(nn.Conv(self.channels, (3, 3), name="last")(x))


@dataclasses.dataclass(frozen=True)
class Translation:
    """One player owns the networks of both directions; the discriminator of each domain sees new and past fakes."""

    a_to_b: Given[Network]
    b_to_a: Given[Network]
    judge_a: Given[Network]
    judge_b: Given[Network]
    resolution: Given[Count]
    channels: Given[Count]
    loss: AdversarialLoss
    cycle_weight: NotNegative = 10.0
    pool: Count = 32  # number of past fakes of each domain

    num_classes = 0
    averaged = WAYS

    @cached_property
    def adversaries(self) -> dict[str, Adversary]:
        return {d: Adversary(getattr(self, f"judge_{d}"), self.loss, f"judge_{d}") for d in FIELDS}

    @property
    def asks(self) -> Spec:
        return dict.fromkeys(FIELDS.values(), pixel_field(self.resolution, self.resolution, self.channels))

    @property
    def players(self) -> Mapping[str, tuple[str, ...]]:
        return {**{each.player: (each.network_name,) for each in self.adversaries.values()}, "translator": WAYS}

    @property
    def products(self) -> Mapping[str, Product]:
        spec = {"image": pixel_field(None, None, self.channels)}

        def product(way: str, made: Negative | None) -> Product:
            def forward(weights: Weights, asked: Any, memory: Any) -> tuple[dict[str, Any], Any]:
                return {"image": self._go(way, weights.params, asked["image"])}, memory

            return Product(spec, spec, (way,), forward, degradation=made, receptive_field=2)

        return {B_TO_A: product(B_TO_A, Negative()), A_TO_B: product(A_TO_B, None)}

    def init(self, key: jax.Array, batch: Batch) -> tuple[dict[str, Any], dict[str, Any]]:
        names = (*WAYS, *(each.network_name for each in self.adversaries.values()))
        keys = zip(names, jax.random.split(key, len(names)))
        trees = {name: getattr(self, name).init(each, batch["image"])["params"] for name, each in keys}
        return trees, {name: {} for name in trees}

    def init_carry(self) -> dict[str, Any]:
        """Empty pools; their first axis is that of the examples of the whole batch, over all devices."""
        return {f"pool_{d}": jnp.zeros((self.pool, self.resolution, self.resolution, self.channels)) for d in FIELDS}

    def phases(self) -> tuple[Phase, ...]:
        turns = (phase for domain in FIELDS for phase in self._turns(domain))
        return *turns, Phase("translator", "translator", self._loss, drawn_by="translator")

    def draw(self, phase: Phase, state: State, batch: Batch, key: jax.Array) -> tuple[dict[str, Any], dict[str, Any]]:
        return self._crossed(state, batch["image"], batch["b/image"]), {}

    def _crossed(self, state: State, a: jax.Array, b: jax.Array) -> dict[str, jax.Array]:
        return {"a": self._go(B_TO_A, state.params, b), "b": self._go(A_TO_B, state.params, a)}

    def _go(self, way: str, params: Mapping[str, Any], image: jax.Array) -> jax.Array:
        return getattr(self, way).apply({"params": params[way]}, image)

    def _turns(self, domain: str) -> tuple[Phase, ...]:
        def show(state: State, batch: Batch, key: jax.Array) -> Shown:
            fakes, pool = batch["fakes"][domain], state.carry[f"pool_{domain}"]
            slot_key, coin_key = jax.random.split(jax.random.fold_in(key, 2))
            filled = jnp.minimum(state.images_seen, self.pool)
            past = pool[jax.random.randint(slot_key, (len(fakes),), 0, jnp.maximum(filled, 1))]
            new = (jax.random.uniform(coin_key, (len(fakes), 1, 1, 1)) < 0.5) | (filled == 0)
            return Shown(batch[FIELDS[domain]], jnp.where(new, fakes, past))

        return self.adversaries[domain].phases(show, drawn_by="translator")

    def _loss(self, state: State, batch: Batch, key: jax.Array) -> tuple[jax.Array, Aux]:
        fakes, carry, metrics, loss = batch["fakes"], {}, {}, jnp.zeros(())
        back = self._crossed(state, fakes["a"], fakes["b"])
        for domain, adversary in self.adversaries.items():
            real, pool = batch[FIELDS[domain]], f"pool_{domain}"
            metrics[f"cycle_{domain}"] = cycle = jnp.abs(back[domain] - real).mean()
            loss += adversary.push(state, real, fakes[domain], key).loss + self.cycle_weight * cycle
            made = all_rows(jax.lax.stop_gradient(fakes[domain]))
            slots = (state.images_seen + jnp.arange(len(made))) % self.pool
            carry[pool] = state.carry[pool].at[slots].set(made)
        return loss, Aux(metrics, carry=carry)

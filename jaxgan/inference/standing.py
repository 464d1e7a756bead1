"""Standing statistics: those of batch norm as the averaged weights have them, taken when samples are drawn.

Those kept in training are of the weights as they were then, and fit their average badly (Brock et al. 2019, appendix
C.1): the generator runs through many batches of noise, and what its norms see of each is averaged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.building.conditions import Conditions
from jaxgan.fields import conditions as conditions_in
from jaxgan.fields import name_of
from jaxgan.game import Array, Product, Weights, draw_further, draw_latents
from jaxgan.parallel.compiler import compiler_options

PASS = 64  # images


class Standing:
    """Puts the standing statistics of a product in the place of those kept, as often as it asks for."""

    def __init__(self, product: Product, *, seed: int = 0, conditions: Conditions | None = None):
        """`seed` chooses the noise, the classes and which of the `conditions` that real examples have.

        So they are the same whenever samples are drawn.
        """
        self._product, self._seed, self._key, self._conditions = product, seed, jax.random.key(seed), conditions
        self._add = jax.jit(self._added, compiler_options=compiler_options(jax.default_backend()))

    def __call__(self, weights: Weights) -> Weights:
        """The weights with the means and variances of `passes` batches; as they are where that is 0."""
        passes = self._product.passes
        if not passes or self._product.statistics is None:
            return weights
        seen = jax.eval_shape(self._seen, weights, self._key, self._given(0))
        total = jax.tree.map(lambda each: jnp.zeros(each.shape, each.dtype), seen)
        for number in range(passes):  # not one program: convolutions in loops are slow on CPU
            total = self._add(weights, total, jax.random.fold_in(self._key, number), self._given(number))
        means = jax.tree.map(lambda sums: sums / passes, total)
        replaced = {network: {**weights.variables[network], **kinds} for network, kinds in means.items()}
        return weights._replace(variables={**weights.variables, **replaced})

    def _given(self, number: int) -> Mapping[str, np.ndarray]:
        """What real examples have of what the product asks for beside labels."""
        names = [name for name, field in conditions_in(self._product.asks).items() if field.kind != "label"]
        return self._conditions(names, (self._seed, number), PASS) if names and self._conditions else {}

    def _added(self, weights: Weights, total: Any, key: Array, given: Mapping[str, Any]) -> Any:
        return jax.tree.map(jnp.add, total, self._seen(weights, key, given))

    def _seen(self, weights: Weights, key: Array, given: Mapping[str, Any]) -> Any:
        assert self._product.statistics is not None
        asks, classes = self._product.asks, self._product.num_classes
        latent, label = (name_of(asks, kind) for kind in ("latent", "label"))
        latent_key, label_key = jax.random.split(key)
        asked = {**given} if label is None else {**given, label: jax.random.randint(label_key, (PASS,), 0, classes)}
        if latent is not None:
            asked |= {latent: draw_latents(asks[latent], latent_key, PASS), **draw_further(asks, latent_key, PASS)}
        return self._product.statistics(weights, asked)

"""Standing statistics: batch-norm statistics of the averaged weights, computed before samples are drawn.

The statistics accumulated in training belong to the weights of that time and do not match their average (Brock et al.
2019, appendix C.1). Instead, the generator is run on many batches of noise and the batches' statistics are averaged.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.building.conditions import Conditions
from jaxgan.fields import conditions as conditions_in
from jaxgan.fields import name_of
from jaxgan.game import Array, Asked, Product, Variables, Weights, draw_further, draw_latents
from jaxgan.parallel.compiler import compiler_options

PASS = 64  # images


class Standing:
    """Replaces the stored statistics of a product by standing statistics over the product's number of passes."""

    def __init__(self, product: Product, *, seed: int = 0, conditions: Conditions | None = None):
        """`seed` determines the noise, the classes and the real examples from which `conditions` are taken.

        The statistics are therefore the same whenever samples are drawn.
        """
        self._product, self._seed, self._key, self._conditions = product, seed, jax.random.key(seed), conditions
        self._add = jax.jit(self._added, compiler_options=compiler_options(jax.default_backend()))

    def __call__(self, weights: Weights) -> Weights:
        """The weights with means and variances over the product's `passes` batches; unchanged if that is 0."""
        passes = self._product.passes
        if not passes or self._product.statistics is None:
            return weights
        seen = jax.eval_shape(self._seen, weights, self._key, self._given(0))
        total = jax.tree.map(lambda each: jnp.zeros(each.shape, each.dtype), seen)
        for number in range(passes):  # a Python loop, because convolutions inside compiled loops are slow on CPU
            total = self._add(weights, total, jax.random.fold_in(self._key, number), self._given(number))
        means = jax.tree.map(lambda sums: sums / passes, total)
        replaced = {network: {**weights.variables[network], **kinds} for network, kinds in means.items()}
        return weights._replace(variables={**weights.variables, **replaced})

    def _given(self, number: int) -> Mapping[str, np.ndarray]:
        """Conditions of real examples for the product's inputs other than labels."""
        names = [name for name, field in conditions_in(self._product.asks).items() if field.kind != "label"]
        return self._conditions(names, (self._seed, number), PASS) if names and self._conditions else {}

    def _added(self, weights: Weights, total: dict[str, Variables], key: Array, given: Asked) -> dict[str, Variables]:
        return jax.tree.map(jnp.add, total, self._seen(weights, key, given))

    def _seen(self, weights: Weights, key: Array, given: Asked) -> dict[str, Variables]:
        assert self._product.statistics is not None
        asks, classes = self._product.asks, self._product.num_classes
        latent, label = (name_of(asks, kind) for kind in ("latent", "label"))
        latent_key, label_key = jax.random.split(key)
        asked = {**given} if label is None else {**given, label: jax.random.randint(label_key, (PASS,), 0, classes)}
        if latent is not None:
            asked |= {latent: draw_latents(asks[latent], latent_key, PASS), **draw_further(asks, latent_key, PASS)}
        return self._product.statistics(weights, asked)

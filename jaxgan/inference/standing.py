"""Standing statistics: those of batch norm as the averaged weights have them, taken when samples are drawn.

Those kept in training are of the weights as they were then, and fit their average badly (Brock et al. 2019, appendix
C.1): the generator runs through many batches of noise, and what its norms see of each is averaged.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jaxgan.game import GENERATOR, Array, Generating, Params, Variables
from jaxgan.layers.normalization import STATISTICS
from jaxgan.parallel.compiler import compiler_options

PASS = 64  # images


class Standing:
    """Puts the standing statistics of a task's generator in the place of those kept, as often as the task asks for."""

    def __init__(self, task: Generating, *, seed: int = 0):
        """`seed` chooses the noise and the classes, so that they are the same whenever samples are drawn."""
        self._task: Any = task  # may be another than the suite's, without such statistics
        self._key = jax.random.key(seed)
        self._passes: int = getattr(task, "standing_passes", 0)
        self._add = jax.jit(self._added, compiler_options=compiler_options(jax.default_backend()))

    def __call__(self, params: dict[str, Params], variables: dict[str, Variables]) -> dict[str, Variables]:
        """The variables with the means and variances of `standing_passes` batches; as they are where that is 0."""
        if not self._passes:
            return variables
        kept = variables[GENERATOR]
        total = jax.tree.map(jnp.zeros_like, kept[STATISTICS])
        for number in range(self._passes):  # not one program: convolutions in loops are slow on CPU
            total = self._add(params, variables, total, jax.random.fold_in(self._key, number))
        return {**variables, GENERATOR: {**kept, STATISTICS: jax.tree.map(lambda sums: sums / self._passes, total)}}

    def _added(self, params: Any, variables: Any, total: Any, key: Array) -> Any:
        latent_key, label_key = jax.random.split(key)
        classes = self._task.num_classes
        label = jax.random.randint(label_key, (PASS,), 0, classes) if classes else None
        seen = self._task.batch_statistics(params, variables, self._task.latents(latent_key, PASS), label)
        return jax.tree.map(jnp.add, total, seen)

"""Images from weights, in batches of one size, so that any number of them costs one compile."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from jaxgan.errors import UserError
from jaxgan.game import Array, Key, Task
from jaxgan.parallel.compiler import compiler_options


class Sampler:
    """The generator of a task, ready to be called with whatever weights."""

    def __init__(self, task: Task, *, num_classes: int, batch_size: int = 250):
        """`num_classes` 0: without labels."""
        self.task, self.num_classes, self.batch_size = task, num_classes, batch_size
        self._generate = jax.jit(task.generate, compiler_options=compiler_options(jax.default_backend()))

    def labels(self, count: int, labels: Any = None) -> np.ndarray | None:
        """Labels `[count]`, int32: those given, or the classes in turn; None where there are no classes.

        Raises UserError for labels of another number, for unknown classes, and for a model without classes.
        """
        if not self.num_classes:
            if labels is not None:
                raise UserError("labels: got some, but the model was trained without labels")
            return None
        if labels is None:
            return np.arange(count, dtype=np.int32) % self.num_classes
        given = np.asarray(labels)
        if given.shape != (count,) or not np.issubdtype(given.dtype, np.integer):
            raise UserError(f"labels: got shape {given.shape} of {given.dtype}, accepted are {count} integers")
        if count and (given.min() < 0 or given.max() >= self.num_classes):
            raise UserError(f"labels: got {given.min()} to {given.max()}, accepted are 0 to {self.num_classes - 1}")
        return given.astype(np.int32)

    def generate(self, params: Any, variables: Any, key: Key | int, count: int, labels: Any = None) -> np.ndarray:
        """`count` images `[count,H,W,C]`, float32 in [-1, 1]; `labels` None: classes in turn."""
        key = jax.random.key(key) if isinstance(key, int) else key
        return self.synthesize(params, variables, self.task.latents(key, count), self.labels(count, labels))

    def synthesize(
        self, params: Any, variables: Any, latents: Array | np.ndarray, labels: np.ndarray | None
    ) -> np.ndarray:
        """The images of given latents `[n,Z]` and labels `[n]`."""
        latents, parts = np.asarray(latents), []
        for start in range(0, len(latents), self.batch_size):
            rows = slice(start, start + self.batch_size)
            latent = self._padded(latents[rows])
            label = None if labels is None else self._padded(labels[rows])
            images = self._generate(params, variables, latent, label)
            parts.append(np.asarray(images)[: len(latents[rows])])
        return np.concatenate(parts)

    def _padded(self, rows: np.ndarray) -> np.ndarray:
        missing = self.batch_size - len(rows)
        return np.concatenate([rows, np.repeat(rows[-1:], missing, axis=0)]) if missing else rows

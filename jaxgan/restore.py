"""A trained generator, ready to be called: `jaxgan.load(workdir).generate(0, 16)`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Literal

import jax
import numpy as np

from jaxgan.errors import UserError
from jaxgan.game import Array, Key, Task
from jaxgan.sampling import Sampler
from jaxgan.training.stored import Average, restore_average
from jaxgan.training.workdir import Workdir


class RestoredGenerator:
    """The averaged weights of a checkpoint and the network that they belong to."""

    def __init__(self, task: Task, average: Average, *, batch_size: int = 64):
        """Images are computed `batch_size` at a time; the first call compiles."""
        self._task, self._average = task, average
        self._sampler = Sampler(task, num_classes=task.num_classes, batch_size=batch_size)
        self.step: int = average.record["step"]
        self.images_seen: int = average.record["images_seen"]
        self.config: dict[str, Any] = average.record["config"]  # of the run, as JSON
        self.class_names: tuple[str, ...] = tuple(average.record["class_names"])

    @property
    def num_classes(self) -> int:
        """How many classes can be asked for; 0 for a generator without labels."""
        return self._sampler.num_classes

    def generate(self, key: Key | int, n: int, labels: Sequence[int] | np.ndarray | None = None) -> np.ndarray:
        """`n` images `[n,H,W,C]`, float32 in [-1, 1], for a seed or a jax key.

        `labels` `[n]`, integers; None: the classes in turn. Raises UserError for what does not fit.
        """
        return self.synthesize(self.latents(key, n), labels)

    def latents(self, key: Key | int, n: int) -> Array:
        """Latents `[n,Z]` as the generator was trained with."""
        if n < 1:
            raise UserError(f"n: got {n}, accepted is 1 or more")
        return self._task.latents(jax.random.key(int(key)) if isinstance(key, int | np.integer) else key, n)

    def synthesize(self, latents: Array | np.ndarray, labels: Sequence[int] | np.ndarray | None = None) -> np.ndarray:
        """The images of given latents `[n,Z]` and labels `[n]`; as `generate` otherwise."""
        size = self.latents(0, 1).shape[1]
        if np.ndim(latents) != 2 or np.shape(latents)[1] != size or not len(latents):
            raise UserError(f"latents: got shape {np.shape(latents)}, accepted is (n, {size})")
        classes = self._sampler.labels(len(latents), labels)
        return self._sampler.synthesize(self._average.params, self._average.variables, latents, classes)


def load(
    workdir: str | os.PathLike[str],
    *,
    step: int | Literal["latest", "best"] = "latest",
    allow: tuple[str, ...] = (),
    batch_size: int = 64,
) -> RestoredGenerator:
    """The generator of a run: of its newest whole checkpoint, of the best by the run's metric, or of a step.

    Names in the saved config resolve only inside jaxgan and the packages of `allow`; nothing else is
    executed. Raises UserError where there is no run, no such checkpoint, or none that can be used.
    """
    # not at the top: a run's config decides what else is imported
    from jaxgan.assemble import make_task
    from jaxgan.config import from_json

    where = Workdir(str(workdir))
    if not where.config.exists():
        raise UserError(f"{workdir} is not the directory of a run: it has no {where.config.name}")
    config = from_json(where.config.read_text())
    choice = config.checkpoint
    average = restore_average(where.checkpoints, step, best=choice.best, best_mode=choice.best_mode)
    return RestoredGenerator(make_task(config, allow), average, batch_size=batch_size)

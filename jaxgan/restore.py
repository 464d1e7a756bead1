"""A trained generator, ready to be called: `jaxgan.load(workdir).generate(0, 16)`."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxgan.errors import ArgumentError, UserError
from jaxgan.game import GENERATOR, Array, Generating, Key, Task
from jaxgan.json_files import read_text
from jaxgan.media.plain import plain
from jaxgan.parallel.placement import replicated
from jaxgan.sampling import Sampler, map_latents, synthesize_styles
from jaxgan.standing import Standing
from jaxgan.training.manifest import config_of
from jaxgan.training.stored import Average, Shapes, restore_average
from jaxgan.training.workdir import Workdir


class RestoredGenerator:
    """The averaged weights of a checkpoint and the network that they belong to."""

    def __init__(self, task: Generating, average: Average, *, batch_size: int = 64, mesh: Mesh | None = None):
        """Images are computed `batch_size` at a time, on the devices of `mesh` (None: one); the first call compiles."""
        self._task, self._average, self._mesh = task, average, mesh
        self._sampler = Sampler(task, num_classes=task.num_classes, batch_size=batch_size, mesh=mesh)
        self.step: int = average.record["step"]
        self.images_seen: int = average.record["images_seen"]
        self.config: dict[str, Any] = average.record.get("config", {})  # of the run, as `config.from_json` reads it
        self.class_names: tuple[str, ...] = tuple(average.record.get("class_names", ()))
        seed = config_of(average.record).get("seed", 0)
        if type(seed) is not int or not 0 <= seed < 2**63:
            raise UserError(f"the config that was recorded with step {self.step} has the seed {plain(seed, 40)}")
        self._seed = seed
        self.lost = 0  # images that were made so far and are not finite

    @property
    def num_classes(self) -> int:
        """How many classes can be asked for; 0 for a generator without labels."""
        return self._sampler.num_classes

    @property
    def has_styles(self) -> bool:
        """Whether images are made from styles (`styles`, `synthesize_styles`), as StyleGAN's are."""
        return self._sampler.has_styles

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the images."""
        label = np.zeros(1, np.int32) if self.num_classes else None
        image = jax.eval_shape(self._task.generate, *self._weights, self.latents(0, 1), label)
        return image.shape[1:]

    def generate(
        self,
        key: Key | int,
        n: int,
        labels: Sequence[int] | np.ndarray | None = None,
        *,
        truncation: float | None = None,
    ) -> np.ndarray:
        """`n` images `[n,H,W,C]`, float32 in [-1, 1], for a seed or a jax key.

        `labels` `[n]`, integers, or shares of the classes `[n,num_classes]`, floats that sum to 1 in each row: a
        mixture. None: the classes in turn. `truncation`: less variety for better images;
        psi of generators with styles (Karras et al. 2019), of others the largest absolute latent (Brock et
        al. 2019). Raises UserError for what does not fit.
        """
        return self.synthesize(self.latents(key, n), labels, truncation=truncation)

    def latents(self, key: Key | int, n: int) -> Array:
        """Latents `[n,Z]` as the generator was trained with."""
        if n < 1:
            raise ArgumentError("n", f"got {n}, accepted is 1 or more")
        return self._task.latents(jax.random.key(int(key)) if isinstance(key, int | np.integer) else key, n)

    def synthesize(
        self,
        latents: Array | np.ndarray,
        labels: Sequence[int] | np.ndarray | None = None,
        *,
        truncation: float | None = None,
    ) -> np.ndarray:
        """The images of given latents `[n,Z]` and labels `[n]` (or shares of classes); as `generate` otherwise."""
        classes = self._checked(latents, labels, truncation)
        return self._counted(self._sampler.synthesize(*self._placed, latents, classes, truncation=truncation))

    def styles(
        self,
        latents: Array | np.ndarray,
        labels: Sequence[int] | np.ndarray | None = None,
        *,
        truncation: float | None = None,
    ) -> np.ndarray:
        """The styles `[n,L,W]`, one for each layer, of latents `[n,Z]` and labels `[n]`.

        Raises UserError for a generator without styles, and as `generate`.
        """
        self._need_styles()
        classes = self._checked(latents, labels, truncation)
        return self._sampler.styles(*self._placed, latents, classes, truncation=truncation)

    def synthesize_styles(self, styles: Array | np.ndarray) -> np.ndarray:
        """The images of styles `[n,L,W]`. Raises UserError for a generator without styles."""
        self._need_styles()
        return self._counted(self._sampler.synthesize_styles(*self._placed, styles))

    def decoder(self, label: int | None = None) -> tuple[Callable[[Any, Array], Array], Any]:
        """`(decode, weights)`: `decode(weights, codes [n,D])` gives images `[n,H,W,C]`, differentiably.

        A code is one style for all layers, or a latent where the generator has no styles. `label` is the
        class of the images of latents (None: the first); a style holds its own. Raises UserError for no class.
        """
        task: Any = self._task
        row = self._sampler.labels(1, None if label is None else [label])
        one = None if row is None else jnp.asarray(row)

        def from_style(weights: Any, codes: Array) -> Array:
            layers = jax.eval_shape(partial(map_latents, task), *weights, self.latents(0, 1), one).shape[1]
            params, variables = weights
            return synthesize_styles(task, params, variables, jnp.repeat(codes[:, None], layers, axis=1))

        def from_latent(weights: Any, codes: Array) -> Array:
            return task.generate(*weights, codes, None if one is None else jnp.repeat(one, len(codes)))

        return from_style if self.has_styles else from_latent, self._weights

    def function(self, *, truncation: float | None = None) -> Callable[..., Array]:
        """`(latent [b,Z] float32[, label [b] int32]) -> image [b,H,W,C] float32`, pure, with the weights in it.

        It takes labels where there are classes. `truncation` as in `generate`.
        """
        options: dict[str, Any] = {} if truncation is None else {"truncation": truncation}

        def generate(latent: Array, label: Array | None = None) -> Array:
            return self._task.generate(*self._weights, latent, label, **options)

        return generate

    def tensors(self) -> dict[str, np.ndarray]:
        """The averaged weights of the generator and its statistics as samples have them, by path.

        Such as `params/conv_4/kernel`.
        """
        params, variables = (trees[GENERATOR] for trees in self._weights)
        leaves = jax.tree_util.tree_leaves_with_path({"params": params, **variables})
        return {jax.tree_util.keystr(path, simple=True, separator="/"): np.asarray(leaf) for path, leaf in leaves}

    @functools.cached_property
    def _weights(self) -> tuple[Any, Any]:
        params, variables = self._average.params, self._average.variables
        return params, Standing(self._task, seed=self._seed)(params, variables)

    @functools.cached_property
    def _placed(self) -> tuple[Any, Any]:
        """The weights on the devices that draw samples."""
        return self._weights if self._mesh is None else jax.device_put(self._weights, replicated(self._mesh))

    def _counted(self, images: np.ndarray) -> np.ndarray:
        self.lost += int((~np.isfinite(images).all(axis=(1, 2, 3))).sum())
        return images

    def _need_styles(self) -> None:
        if not self.has_styles:
            raise UserError("styles: this generator has none, as StyleGAN's have; accepted are latents")

    def _checked(self, latents: Any, labels: Any, truncation: float | None) -> np.ndarray | None:
        size = self.latents(0, 1).shape[1]
        if np.ndim(latents) != 2 or np.shape(latents)[1] != size or not len(latents):
            raise ArgumentError("latents", f"got shape {np.shape(latents)}, accepted is (n, {size})")
        if truncation is not None and not 0 <= truncation < np.inf:
            raise ArgumentError("truncation", f"got {truncation}, accepted is 0 or more")
        return self._sampler.labels(len(latents), labels)


def load(
    workdir: str | os.PathLike[str],
    *,
    step: int | Literal["latest", "best"] = "latest",
    allow: tuple[str, ...] = (),
    batch_size: int = 64,
    mesh: Mesh | None = None,
) -> RestoredGenerator:
    """The generator of a run: of its newest whole checkpoint, of the best by the run's metric, or of a step.

    Names in the saved config resolve only inside jaxgan and the packages of `allow`; nothing else is
    executed. Images are computed `batch_size` at a time on the devices of `mesh` (None: one). Raises UserError where
    there is no run, no such checkpoint, or none that can be used.
    """
    # not at the top: a run's config decides what else is imported
    from jaxgan.assemble import averaged, make_task
    from jaxgan.builder import check_sections
    from jaxgan.config import from_json

    where = Workdir(str(workdir))
    if not where.config.exists():
        raise UserError(f"{workdir} is not the directory of a run: it has no {where.config.name}")
    config = from_json(read_text(where.config))
    check_sections(config, allow)
    choice = config.checkpoint
    task = _generating(make_task(config, allow), workdir)
    like = [Shapes(*each) for each in averaged(task, config)]
    if batch_size < 1:
        raise ArgumentError("batch_size", f"got {batch_size}, accepted is 1 or more")
    average = restore_average(where.checkpoints, step, best=choice.best, best_mode=choice.best_mode, like=like)
    return RestoredGenerator(task, average, batch_size=batch_size, mesh=mesh)


def _generating(task: Task, workdir: str | os.PathLike[str]) -> Generating:
    if not hasattr(task, "generate"):
        raise UserError(f"{workdir}: this run makes images from other images, not from latents; use --mode=apply")
    return cast(Generating, task)

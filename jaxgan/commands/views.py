"""What a run shows of itself while it trains: scores and pictures, by what its task makes."""

from __future__ import annotations

from functools import partial
from typing import Any, Protocol

import jax
import numpy as np
from jax.sharding import Mesh

from jaxgan.assemble import make_degradation, restores
from jaxgan.commands.setup import cache_dir, generate_with
from jaxgan.config import RunConfig
from jaxgan.data.sources import DataSpec
from jaxgan.evaluators.baselines import INPUT
from jaxgan.evaluators.distribution import DistributionEvaluator, make_distribution_evaluator
from jaxgan.evaluators.held_out import make_held_out_gap
from jaxgan.evaluators.manifests import existing
from jaxgan.evaluators.reconstruction import ReconstructionEvaluator, make_reconstruction_evaluator
from jaxgan.evaluators.samples import draw_grid
from jaxgan.game import Generating, Restoring, State
from jaxgan.media.grids import make_grid
from jaxgan.media.images import to_uint8
from jaxgan.parallel import distributed
from jaxgan.parallel.compiler import compiler_options
from jaxgan.parallel.placement import copied, replicated
from jaxgan.sampling import Sampler
from jaxgan.standing import Standing

SHOWN = 6  # restored pictures
SIDE = 192  # pixels of them that are shown

Evaluator = DistributionEvaluator | ReconstructionEvaluator


def make_evaluator(config: RunConfig, allow: tuple[str, ...] = ()) -> Evaluator:
    """What scores the run of a config; `allow` as in `make_task`. Raises UserError for data that cannot be opened."""
    if restores(config, allow):
        return make_reconstruction_evaluator(config, make_degradation(config, allow))
    return make_distribution_evaluator(config, cache_dir=str(cache_dir() / "classifiers"))


class View(Protocol):
    """Scores and a picture of a state, which lies where the run put it. Of several processes all must call both."""

    def scores(self, state: State) -> dict[str, float]:
        """By name."""
        ...

    def picture(self, state: State) -> np.ndarray | None:
        """uint8 `[H,W,C]`; None where another process makes it."""
        ...


class GenerationView:
    """Samples, always of the same latents, drawn on all devices of the run from weights that stay where they are."""

    def __init__(
        self, config: RunConfig, spec: DataSpec, task: Generating, evaluator: DistributionEvaluator, mesh: Mesh
    ):
        """Compiles nothing yet."""
        self._config, self._evaluator, self._mesh = config, evaluator, mesh
        self._class_names = spec.classes if config.conditional else ()
        size = config.evaluation.batch_size
        self._sampler = Sampler(task, num_classes=task.num_classes, batch_size=size, mesh=mesh)
        self._standing = Standing(task, seed=config.seed)
        self._gap, self._judge = make_held_out_gap(config), jax.jit(task.judge, out_shardings=replicated(mesh))

    def scores(self, state: State) -> dict[str, float]:
        """Of samples of the averaged weights, and how the discriminator judges what it never saw."""
        draw = generate_with(partial(self._sampler.share, *self._averaged(state)))
        scores = self._evaluator.run(draw, self._config.seed)
        if self._gap is None:
            return scores
        return existing({**scores, **self._gap(partial(self._judged, state), partial(self._playing, state))})

    def picture(self, state: State) -> np.ndarray:
        """A grid of samples."""
        wish = self._config.samples
        draw = generate_with(partial(self._sampler.generate, *self._averaged(state)))
        drawn = draw_grid(draw, rows=wish.rows, columns=wish.columns, class_names=self._class_names)
        return make_grid(drawn.images, columns=drawn.columns, row_labels=drawn.row_labels)

    def _averaged(self, state: State) -> tuple[Any, Any]:
        """The weights that samples are made of."""
        return state.ema_params, self._standing(state.ema_params, state.ema_variables)

    def _playing(self, state: State, seed: int, count: int, labels: np.ndarray | None) -> np.ndarray:
        """Images of the generator as it plays now, without averaging."""
        labels = labels if self._sampler.num_classes else None
        return self._sampler.generate(state.params, state.variables, seed, count, labels)

    def _judged(self, state: State, images: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
        """Every device judges all of them: they are few, and a pack must not be torn."""
        placed = copied(self._mesh, {"image": images} if labels is None else {"image": images, "label": labels})
        return np.asarray(self._judge(state.params, state.variables, placed["image"], placed.get("label")))


class RestorationView:
    """Held-out pictures, always of the same conditions, which one device of the first process restores."""

    def __init__(self, task: Restoring, evaluator: ReconstructionEvaluator):
        """Compiles nothing yet."""
        self._evaluator = evaluator
        self._apply = jax.jit(task.apply, compiler_options=compiler_options(jax.default_backend()))

    def scores(self, state: State) -> dict[str, float]:
        """Of the averaged weights."""
        restore = self._restore(state)
        return distributed.by_leader("scores", lambda: existing(self._evaluator.run(restore)))

    def picture(self, state: State) -> np.ndarray | None:
        """Row by row condition, what a method without training makes of it, what the network makes, and original."""
        evaluator, restore = self._evaluator, self._restore(state)
        if not distributed.leading():
            return None
        conditions, originals = evaluator.conditions[:SHOWN], evaluator.originals[:SHOWN]
        columns = {"condition": list(map(_enlarged, conditions, originals))}
        if evaluator.baseline is not None and evaluator.baseline[0] != INPUT:  # the condition stands there already
            columns[evaluator.baseline[0]] = evaluator.baseline[1][:SHOWN]
        columns["restored"] = [to_uint8(restore(condition[None])[0]) for condition in conditions]
        columns["original"] = originals
        side = min(SIDE, *(min(original.shape[:2]) for original in originals))
        tiles = [_middle(pictures[row], side) for row in range(len(originals)) for pictures in columns.values()]
        return make_grid(np.stack(tiles), columns=len(columns), column_labels=list(columns), scale=1)

    def _restore(self, state: State) -> Any:
        params, variables = distributed.on_one_device((state.ema_params, state.ema_variables))
        return lambda condition: np.asarray(self._apply(params, variables, condition))


def _enlarged(condition: np.ndarray, original: np.ndarray) -> np.ndarray:
    """A condition at the size of its original, its pixels as squares; a mask is left out."""
    scale, channels = original.shape[0] // condition.shape[0], original.shape[2]
    pixels = to_uint8(condition[..., :channels] if condition.shape[2] > channels else condition)
    return np.broadcast_to(pixels.repeat(scale, axis=0).repeat(scale, axis=1), original.shape)


def _middle(picture: np.ndarray, side: int) -> np.ndarray:
    top, left = ((length - side) // 2 for length in picture.shape[:2])
    return picture[top : top + side, left : left + side]


def make_view(config: RunConfig, spec: DataSpec, task: Any, evaluator: Evaluator, mesh: Mesh) -> View:
    """What a run shows of itself."""
    if isinstance(evaluator, ReconstructionEvaluator):
        return RestorationView(task, evaluator)
    return GenerationView(config, spec, task, evaluator, mesh)

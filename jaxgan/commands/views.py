"""What a run shows of itself while it trains: scores and pictures, by what its task makes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol

import jax
import numpy as np
from jax.sharding import Mesh

from jaxgan.commands.setup import cache_dir, generate_with
from jaxgan.config import RunConfig
from jaxgan.data.sources import DataSpec
from jaxgan.errors import UserError
from jaxgan.evaluators.baselines import INPUT
from jaxgan.evaluators.distribution import DistributionEvaluator, make_distribution_evaluator
from jaxgan.evaluators.held_out import make_held_out_gap
from jaxgan.evaluators.manifests import existing
from jaxgan.evaluators.reconstruction import ReconstructionEvaluator, make_reconstruction_evaluator
from jaxgan.evaluators.samples import draw_grid
from jaxgan.fields import name_of, named, told
from jaxgan.game import Product, State, Task, Weights, delivered, playing, product_of
from jaxgan.inference.restorer import stacked
from jaxgan.inference.sampling import Sampler
from jaxgan.inference.standing import Standing
from jaxgan.media.grids import make_grid
from jaxgan.media.images import to_uint8
from jaxgan.parallel import distributed
from jaxgan.parallel.compiler import compiler_options
from jaxgan.parallel.placement import copied, replicated

SHOWN = 6  # restored pictures
SIDE = 192  # pixels of them that are shown

Evaluator = DistributionEvaluator | ReconstructionEvaluator


def make_evaluator(config: RunConfig, product: Product, allow: Sequence[str] = ()) -> Evaluator:
    """What scores a product of a config's task. Raises UserError for data that cannot be opened, and if none fits."""
    if product.makes_pixels_of("latent"):
        return make_distribution_evaluator(config, cache_dir=str(cache_dir() / "classifiers"), allow=allow)
    if product.makes_pixels_of("pixels"):
        return make_reconstruction_evaluator(config, product.degradation, allow)
    raise UserError(f"nothing scores what asks for {told(product.asks)} and gives {told(product.gives)}")


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
        self,
        config: RunConfig,
        spec: DataSpec,
        task: Task,
        evaluator: DistributionEvaluator,
        mesh: Mesh,
        allow: Sequence[str] = (),
    ):
        """Compiles nothing yet."""
        self._config, self._evaluator, self._mesh = config, evaluator, mesh
        _, self._product = product_of(task)
        self._class_names = spec.classes if self._product.num_classes else ()
        size = config.evaluation.batch_size
        self._sampler = Sampler(self._product, batch_size=size, mesh=mesh)
        self._standing = Standing(self._product, seed=config.seed)
        judge = _judge_of(task, self._product)
        self._gap = None if judge is None else make_held_out_gap(config, allow)
        self._judge = None if judge is None else Judging(judge, mesh)

    def scores(self, state: State) -> dict[str, float]:
        """Of samples of the averaged weights, and how the discriminator judges what it never saw."""
        draw = generate_with(partial(self._sampler.share, self._averaged(state)))
        scores = self._evaluator.run(draw, self._config.seed)
        if self._gap is None or self._judge is None:
            return scores
        return existing({**scores, **self._gap(partial(self._judge, state), partial(self._playing, state))})

    def picture(self, state: State) -> np.ndarray:
        """A grid of samples."""
        wish = self._config.samples
        draw = generate_with(partial(self._sampler.generate, self._averaged(state)))
        drawn = draw_grid(draw, rows=wish.rows, columns=wish.columns, class_names=self._class_names)
        return make_grid(drawn.images, columns=drawn.columns, row_labels=drawn.row_labels)

    def _averaged(self, state: State) -> Weights:
        """The weights that samples are made of."""
        return self._standing(delivered(state, self._product.networks))

    def _playing(self, state: State, seed: int, count: int, labels: np.ndarray | None) -> np.ndarray:
        """Images of the generator as it plays now, without averaging."""
        labels = labels if self._sampler.num_classes else None
        return self._sampler.generate(playing(state, self._product.networks), seed, count, labels)


class Judging:
    """What a product says of images, by the weights that play."""

    def __init__(self, product: Product, mesh: Mesh):
        """Compiles nothing yet."""
        self._product, self._mesh = product, mesh
        self._call = jax.jit(product.__call__, out_shardings=replicated(mesh))

    def __call__(self, state: State, images: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
        """Their logits. Every device judges all of them: they are few, and a pack must not be torn."""
        asks = self._product.asks
        image, label = named(asks, "pixels"), name_of(asks, "label")
        asked = {image: images} if label is None or labels is None else {image: images, label: labels}
        made, _ = self._call(playing(state, self._product.networks), copied(self._mesh, asked))
        return np.asarray(made[named(self._product.gives, "logits")])


class RestorationView:
    """Held-out pictures, always of the same conditions, which one device of the first process restores."""

    def __init__(self, product: Product, evaluator: ReconstructionEvaluator):
        """Compiles nothing yet."""
        self._product, self._evaluator = product, evaluator
        self._apply = jax.jit(stacked(product), compiler_options=compiler_options(jax.default_backend()))

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
        weights = distributed.on_one_device(delivered(state, self._product.networks))
        return lambda condition: np.asarray(self._apply(weights, condition))


def _judge_of(task: Task, product: Product) -> Product | None:
    """The first product that judges what this one gives, by that and maybe its label alone."""
    images = [field for field in product.gives.values() if field.kind == "pixels"]
    judges = (each for each in task.products.values() if name_of(each.gives, "logits") is not None)
    return next((each for each in judges if [f for f in each.asks.values() if f.kind != "label"] == images), None)


def _enlarged(condition: np.ndarray, original: np.ndarray) -> np.ndarray:
    """A condition at the size of its original, its pixels as squares; a mask is left out."""
    scale, channels = original.shape[0] // condition.shape[0], original.shape[2]
    pixels = to_uint8(condition[..., :channels] if condition.shape[2] > channels else condition)
    return np.broadcast_to(pixels.repeat(scale, axis=0).repeat(scale, axis=1), original.shape)


def _middle(picture: np.ndarray, side: int) -> np.ndarray:
    top, left = ((length - side) // 2 for length in picture.shape[:2])
    return picture[top : top + side, left : left + side]


def make_view(
    config: RunConfig, spec: DataSpec, task: Task, evaluator: Any, mesh: Mesh, allow: Sequence[str] = ()
) -> View:
    """What a run shows of itself: of its first product, which the evaluator scores."""
    _, product = product_of(task)
    if product.makes_pixels_of("pixels"):
        return RestorationView(product, evaluator)
    return GenerationView(config, spec, task, evaluator, mesh, allow)

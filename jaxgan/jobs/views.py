"""The scores and pictures that a run reports while it trains."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.typing import ArrayLike

from jaxgan.building.conditions import RealConditions
from jaxgan.config.run import RunConfig
from jaxgan.data.sources import DataSpec
from jaxgan.evaluators.choice import prefixed
from jaxgan.evaluators.evaluator import Evaluator, Trained
from jaxgan.evaluators.held_out import make_held_out_gap
from jaxgan.evaluators.samples import draw_grid, generate_with
from jaxgan.evaluators.score_files import existing
from jaxgan.fields import frames, name_of, named
from jaxgan.game import Product, State, Task, Weights, delivered, playing, product_of
from jaxgan.inference.restorer import of_shot
from jaxgan.inference.sampling import Sampler
from jaxgan.inference.standing import Standing
from jaxgan.media.grids import make_film, make_grid
from jaxgan.parallel import distributed
from jaxgan.parallel.compiler import compiler_options
from jaxgan.parallel.placement import copied, replicated

STRIP = 16  # the largest number of frames in a film strip, to keep it readable


class Shown(NamedTuple):
    """A picture of a run, uint8 `[H,W,C]`; for clips it shows the first frames, with a film `[T,H,W,C]` beside it."""

    picture: np.ndarray
    film: np.ndarray | None = None


class View:
    """Scores and a picture of the first product of the task, from a state placed as in the run.

    Every process must call both methods. One device of each process calls the product; evaluators may leave it to the
    first process.
    """

    def __init__(
        self,
        config: RunConfig,
        product: Product,
        evaluators: Mapping[str, Evaluator],
        conditions: RealConditions | None = None,
    ):
        """Compiles nothing yet. `conditions`: the product's inputs besides latents, if it has any."""
        self._config, self._product, self._evaluators = config, product, evaluators
        self._standing = Standing(product, seed=config.seed, conditions=conditions)
        jit = partial(jax.jit, compiler_options=compiler_options(jax.default_backend()))
        self._call = jit(product.once)
        self._apply = of_shot(product) if product.makes_pixels_of("pixels") else None

    def scores(self, state: State, due: Collection[str] | None = None) -> dict[str, float]:
        """Scores of the averaged weights, by name. `due`: the names of the evaluators to run (None: all)."""
        model, scores = self._trained(state), dict[str, float]()
        for name, evaluator in self._evaluators.items():
            if due is None or name in due:
                scores |= prefixed(name, evaluator.run(model, self._config.seed))
        return scores

    def picture(self, state: State) -> Shown | None:
        """The picture of the first evaluator that makes one; None if none does, or if another process makes it."""
        model = self._trained(state)
        pictures = (evaluator.picture(model) for evaluator in self._evaluators.values())
        return next((Shown(picture) for picture in pictures if picture is not None), None)

    def _trained(self, state: State) -> Trained:
        weights, apply = distributed.on_one_device(self._averaged(state)), self._apply
        called = Trained(call=partial(self._called, weights))
        return (
            called
            if apply is None
            else called._replace(restore=lambda each: np.asarray(apply(weights, jnp.asarray(each))))
        )

    def _called(self, weights: Weights, **asked: ArrayLike) -> dict[str, np.ndarray]:
        return jax.tree.map(np.asarray, self._call(distributed.on_one_device(weights), asked))

    def _averaged(self, state: State) -> Weights:
        return self._standing(delivered(state, self._product.networks))


class GenerationView(View):
    """Samples of fixed latents, generated on all devices of the run without moving the weights."""

    def __init__(
        self,
        config: RunConfig,
        spec: DataSpec,
        task: Task,
        evaluators: Mapping[str, Evaluator],
        mesh: Mesh,
        allow: Sequence[str] = (),
    ):
        """Compiles nothing yet."""
        _, product = product_of(task)
        conditions = RealConditions(config, allow)
        super().__init__(config, product, evaluators, conditions)
        self._class_names = spec.classes if product.num_classes else ()
        sizes = (each.get("batch_size", 0) for each in config.evaluators.values())
        size = -(-max(config.evaluation.batch_size, *sizes, 0) // frames(product.gives))
        self._sampler = Sampler(product, batch_size=size, mesh=mesh, conditions=conditions)
        judge = _judge_of(task, product)
        self._gap = None if judge is None else make_held_out_gap(config, allow)
        self._judge = None if judge is None else Judging(judge, mesh)

    def scores(self, state: State, due: Collection[str] | None = None) -> dict[str, float]:
        """Scores of samples, and of the discriminator on held-out images."""
        scores = super().scores(state, due)
        if self._gap is None or self._judge is None:
            return scores
        return existing({**scores, **self._gap(partial(self._judge, state), partial(self._playing, state))})

    def picture(self, state: State) -> Shown:
        """A grid of samples; for clips a film of all of them, and a film strip of the first in each row."""
        chosen = self._config.samples
        draw = generate_with(partial(self._sampler.generate, self._averaged(state)))
        images, columns, labels = draw_grid(
            draw, rows=chosen.rows, columns=chosen.columns, class_names=self._class_names
        )
        if images.ndim == 4:
            return Shown(make_grid(images, columns=columns, row_labels=labels))
        strip = make_grid(images[::columns, :STRIP], columns=1, row_labels=labels)
        return Shown(strip, make_film(images, columns=columns, row_labels=labels))

    def _trained(self, state: State) -> Trained:
        weights = self._averaged(state)
        draw = generate_with(partial(self._sampler.share, weights))
        return Trained(generate=draw, call=partial(self._called, weights))

    def _playing(self, state: State, seed: int, count: int, labels: np.ndarray | None) -> np.ndarray:
        """Images of the generator with its current weights, without averaging."""
        labels = labels if self._sampler.num_classes else None
        return self._sampler.generate(playing(state, self._product.networks), seed, count, labels)


class Judging:
    """A discriminator's logits for images, with its current weights."""

    def __init__(self, product: Product, mesh: Mesh):
        """Compiles nothing yet."""
        self._product, self._mesh = product, mesh
        self._call = jax.jit(product.__call__, out_shardings=replicated(mesh))

    def __call__(self, state: State, images: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
        """The logits. Every device evaluates all images: they are few, and packs must not be split."""
        asks = self._product.asks
        image, label = named(asks, "pixels"), name_of(asks, "label")
        asked = {image: images} if label is None or labels is None else {image: images, label: labels}
        made, _ = self._call(playing(state, self._product.networks), copied(self._mesh, asked))
        return np.asarray(made[named(self._product.gives, "logits")])


def _judge_of(task: Task, product: Product) -> Product | None:
    """The first product that gives logits for this one's images, and takes nothing else except a label."""
    images = [field for field in product.gives.values() if field.kind == "pixels"]
    judges = (each for each in task.products.values() if name_of(each.gives, "logits") is not None)
    return next((each for each in judges if [f for f in each.asks.values() if f.kind != "label"] == images), None)


def make_view(
    config: RunConfig,
    spec: DataSpec,
    task: Task,
    evaluators: Mapping[str, Evaluator],
    mesh: Mesh,
    allow: Sequence[str] = (),
) -> View:
    """The view of a run: of its first product, which the evaluators score."""
    _, product = product_of(task)
    if product.makes_pixels_of("latent"):
        return GenerationView(config, spec, task, evaluators, mesh, allow)
    return View(config, product, evaluators)

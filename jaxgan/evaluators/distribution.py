"""Named scores for the distance between the distributions of samples and data.

Samples of a labelled data set are scored in the features of a classifier trained on its labels, those of an unlabelled
one in the features of a self-supervised network, and those of a stacked one also by the number of modes found. Any data
set can instead be scored by the sliced Wasserstein distance of patches, or in Inception's features if the user has its
weights. Clips are scored in the same way, with I3D instead of Inception, and by patches if they have no labels. The
reference is the training split, as is the convention in the field.
"""

from __future__ import annotations

import functools
from typing import Any, Literal

import jax
import numpy as np

from jaxgan.config.domains import Count, Given, Seed, Several
from jaxgan.config.run import FeatureKind
from jaxgan.data.sources import Source, describe, digest_of_contents
from jaxgan.data.stacked import StackedSource
from jaxgan.errors import NotFiniteError, UserError
from jaxgan.evaluators import liveliness
from jaxgan.evaluators.classifier_scores import ClassifierScores
from jaxgan.evaluators.controls import controls
from jaxgan.evaluators.evaluator import Trained
from jaxgan.evaluators.inception_features import check_weights
from jaxgan.evaluators.inception_scores import InceptionScores
from jaxgan.evaluators.labels import count_labels, spread_labels
from jaxgan.evaluators.motion_scores import MotionScores
from jaxgan.evaluators.patch_scores import PatchScores
from jaxgan.evaluators.reference import identity
from jaxgan.evaluators.reference_cache import cached
from jaxgan.evaluators.score_files import CONTENTS, existing
from jaxgan.evaluators.self_scores import SelfScores
from jaxgan.evaluators.stacked_scores import StackedScores
from jaxgan.evaluators.streams import Scorer, put_together
from jaxgan.evaluators.video_scores import VideoScores
from jaxgan.fields import Kind
from jaxgan.models.pretrained.vgg import LPIPS
from jaxgan.parallel import distributed
from jaxgan.system import signals


class Distribution:
    """Scores a generator against a source of real images.

    Everything expensive (a classifier, statistics of the reference) is computed in the first run and kept.
    """

    fits: tuple[Kind, Kind] = ("latent", "pixels")
    best_mode: Literal["min", "max"] = "min"

    def __init__(
        self,
        source: Given[Source],
        held_out: Given[Source | None] = None,
        *,
        cache_dir: Given[str],
        samples: Given[Several] = 2_000,
        batch_size: Given[Count] = 250,
        neighbours: Given[Count] = 5,
        conditional: Given[bool] = False,
        features: FeatureKind = "auto",
        weights: str | None = None,
        reference_seed: Seed = 0,
    ):
        """`held_out`: images to measure the classifier's accuracy on (None: a tenth of the source's).

        `conditional`: the generator takes labels, and is asked for classes in the proportions of the source (in turn if
        these are equal). `reference_seed` selects the reference images, `features` the feature space of the scores
        ("auto": chosen by the data), and `weights` is the file of Inception's weights. Raises UserError if there are
        too few samples or images for `neighbours`, for a classifier on data without labels, and for Inception without
        weights.
        """
        _check_counts(samples, source.spec.size, neighbours, f"the split {source.spec.split!r} of {source.spec.name!r}")
        self._source, self._held_out, self._cache_dir = source, held_out, cache_dir
        self._samples, self._batch_size, self._neighbours = samples, batch_size, neighbours
        self._clips = (source.spec.image.frames or 1) > 1  # clips of one frame cannot move
        self._conditional = conditional and bool(source.spec.classes)
        self._seed, self._weights = reference_seed, weights
        self._features, self._kind = features, _kind(source, features)
        if self._kind is InceptionScores:
            check_weights(weights)

    @property
    def manifest(self) -> dict[str, Any]:
        """What the scores were made with: features, reference, counts, seed. Only equal ones compare."""
        made = {**self._scorer.manifest, "batch_size": self._batch_size, "conditional": self._conditional}
        if contents := digest_of_contents([describe(each) for each in (self._source, self._held_out) if each]):
            made[CONTENTS] = contents
        if self._counts is not None and self._counts.min() < self._counts.max():
            counted, size = int(self._counts.sum()), self._source.spec.size
            of = f"{counted}" if counted == size else f"{counted} of {size}"
            made["labels"] = f"in the shares of {of} training images"
        return made

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the scores, without their features."""
        return (*self._kind.names, *liveliness.NAMES) if self._clips else self._kind.names

    def run(self, model: Trained, seed: int) -> dict[str, float]:
        """Scores by name, `score/features`.

        Samples are generated batch by batch, each batch from its own seed, and not kept. All processes must call it.
        Raises ValueError for images of a wrong shape, and NotFiniteError.
        """
        seen, asked, moved = self._scorer.start(), self.labels(self._samples), liveliness.Moved()
        for start in range(0, self._scorer.samples, self._batch_size):
            signals.check()
            number = min(self._batch_size, self._samples - start)
            labels = None if asked is None else asked[start : start + number]
            batch_seed = int(np.random.SeedSequence((seed, start)).generate_state(1)[0] >> 1)  # a positive int32
            images = self._as_saved(model.generate(batch_seed, number if labels is None else labels), number)
            rows = put_together(self._scorer.describe(images), min(number, self._scorer.samples - start))
            seen.add(rows, None if labels is None else labels[: self._scorer.samples - start])
            if self._clips:
                moved.add(put_together(liveliness.describe_motion(images), number))
        motion = moved.relative_to(self._motion_of_reals) if self._clips else {}
        return distributed.by_leader("scores", lambda: existing({**seen.scores(), **motion}))

    def controls(self, seed: int) -> dict[str, dict[str, float]]:
        """Scores of control clips, which need no generator (see `jaxgan.evaluators.controls`); empty for pictures.

        The real clips are held-out ones if there are any. The scores are computed once and stored.
        """
        if not self._source.spec.image.clip:
            return {}
        source = self._held_out or self._source
        manifest = self.manifest

        def make() -> dict[str, np.ndarray]:
            generators = controls(source, self._samples, seed)
            scored = {name: self.run(Trained(generate), seed) for name, generate in generators.items()}
            return {f"{name}/{score}": np.asarray(value) for name in scored for score, value in scored[name].items()}

        key = {"controls": manifest, "clips": identity(source), "seed": seed}
        stored, found = cached(self._cache_dir, key, make, [describe(source)]), dict[str, dict[str, float]]()
        for place, value in stored.items():
            name, _, score = place.partition("/")
            found.setdefault(name, {})[score] = float(value)
        return found

    def picture(self, model: Trained) -> None:
        """No picture: every run draws a sample grid, whatever its evaluators."""

    def labels(self, count: int) -> np.ndarray | None:
        """Labels, int32, to generate `count` samples with; None if the generator takes no labels."""
        if self._counts is None:
            return None
        return spread_labels(self._counts, count)

    def features(self, images: np.ndarray) -> np.ndarray:
        """Features `[n,D]` of images in [0, 255]. Raises UserError if the scores use no feature network."""
        if not hasattr(self._scorer, "features"):
            got = f"got {self._features!r}, which has no feature network for path lengths"
            raise UserError(f"config.evaluation.features: {got}; expected 'inception' or 'self'")
        return self._scorer.features(images)

    @functools.cached_property
    def _counts(self) -> np.ndarray | None:
        """Images by class; None if the generator takes no labels."""
        if not self._conditional:
            return None
        return count_labels(self._source, cache_dir=self._cache_dir, seed=self._seed)

    @functools.cached_property
    def _motion_of_reals(self) -> liveliness.Moved:
        return liveliness.motion_of_reals(self._source, self._samples, self._seed)

    @functools.cached_property
    def _scorer(self) -> Scorer:
        common: dict[str, Any] = {"samples": self._samples, "neighbours": self._neighbours, "seed": self._seed}
        if self._kind is PatchScores:
            return PatchScores(self._source, **common)
        common["cache_dir"] = self._cache_dir
        if self._kind in (InceptionScores, VideoScores):
            return self._kind(self._source, weights=self._weights, **common)
        if self._kind is SelfScores:
            return SelfScores(self._source, **common)
        return self._kind(self._source, self._held_out, **common)

    def _as_saved(self, images: np.ndarray, number: int) -> np.ndarray:
        """This process's share of a batch of `number` samples, converted to uint8 as for saving."""
        share = -(-number // jax.process_count())
        shape = (share, *self._source.spec.image.shape)
        if images.shape[1:] != shape[1:] or len(images) < share:
            raise ValueError(f"generate: got images of shape {images.shape}, expected {shape}")
        if not np.isfinite(images).all():
            raise NotFiniteError("the generator's images are not finite")
        return np.rint(np.clip(images, -1.0, 1.0) * 127.5 + 127.5).astype(np.uint8)


def _check_counts(samples: int, images: int, neighbours: int, whose: str) -> None:
    """Raise UserError if there are too few samples or images for this number of neighbours."""
    fewest = min(samples, images)
    if 1 <= neighbours < fewest:
        return
    wanted = f"config.evaluation.neighbours: got {neighbours}"
    if neighbours < 1:
        raise UserError(f"{wanted}, expected 1 or more")
    if samples <= images:
        raise UserError(
            f"{wanted}, which requires at least {neighbours + 1} samples, but config.evaluation.samples is {samples}"
        )
    has = f"{whose} has {images} image{'s' * (images > 1)} for the scores to compare with"
    other = f", or set --config.evaluation.neighbours={'1' if fewest == 2 else f'1 to {fewest - 1}'}" * (fewest > 1)
    raise UserError(f"{wanted}, which requires at least {neighbours + 1} images: {has}; add pictures{other}")


def _kind(source: Source, features: str) -> Any:
    """The class that computes the scores."""
    labels = bool(source.spec.classes)
    if features in LPIPS:
        raise UserError(f"config.evaluation.features: got {features!r}, which is for LPIPS of restored images")
    if features == "classifier" and not labels:
        raise UserError(f"config.evaluation.features: got 'classifier', but {source.spec.name} has no labels")
    clips = source.spec.image.frames is not None
    if features in (("inception", "self") if clips else ("i3d", "motion")):
        what, other = ("clips", "'classifier', 'i3d', 'motion' or 'patches'") if clips else ("pictures", "'inception'")
        raise UserError(
            f"config.evaluation.features: got {features!r}, but {source.spec.name} has {what}; expected {other}"
        )
    if features == "inception":
        return InceptionScores
    if features in ("i3d", "motion"):
        return VideoScores if features == "i3d" else MotionScores
    if features == "patches" or (clips and not labels):
        return PatchScores
    if features == "self" or not labels:
        return SelfScores
    return StackedScores if isinstance(source, StackedSource) else ClassifierScores

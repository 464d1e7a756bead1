"""The scores of the literature, in the features of Inception-v3."""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxgan.data.sources import Source, describe
from jaxgan.evaluators.feature_sums import FeatureReference, FeatureSums, sums_of_reals
from jaxgan.evaluators.inception_features import load_inception
from jaxgan.evaluators.reference import identity
from jaxgan.evaluators.reference_cache import cached
from jaxgan.evaluators.streams import Rows
from jaxgan.metrics.inception_score import InceptionScoreSums
from jaxgan.metrics.kernel import kernel_distance
from jaxgan.metrics.precision_recall import ManifoldScores

REFERENCE_IMAGES = 50_000  # at most
POINTS = 10_000  # at most, of each set, for all scores but the Frechet distance
RESIZE = "tensorflow1-bilinear-299"
SPLITS = 10  # of the Inception score


class InceptionScores:
    """Frechet and kernel distance (FID, KID), Inception score, precision, recall, density, coverage."""

    names = ("fid", "kid", "inception_score", *ManifoldScores._fields)

    def __init__(
        self, source: Source, *, weights: str | None, samples: int, neighbours: int, cache_dir: str, seed: int
    ):
        """Read the weights, and the statistics of the reference from `cache_dir` or compute them.

        Raises UserError without a file of weights.
        """
        self._inception = load_inception(weights)
        count = min(source.spec.size, REFERENCE_IMAGES)
        description = {
            "reference": identity(source),
            "reference_images": count,
            "reference_seed": seed,
            "resize": RESIZE,
            "weights": self._inception.checksum,
        }
        stored = cached(
            cache_dir,
            description,
            lambda: sums_of_reals(source, self.describe, count, seed, points=POINTS),
            [describe(source)],
        )
        self.samples, self._points = samples, min(samples, count, POINTS)
        self._reference = FeatureReference(stored, points=self._points, neighbours=neighbours)
        self.manifest: dict[str, Any] = {
            "features": self._inception.name,
            "data": f"{source.spec.name}/{source.spec.split}",
            **description,
            "samples": samples,
            "points": self._points,
            "neighbours": neighbours,
        }

    def features(self, images: np.ndarray) -> np.ndarray:
        """Features `[n,2048]` of images of 0 to 255."""
        return self._inception(images).features

    def describe(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Features `[n,2048]` and logits `[n,1008]` of uint8 images."""
        return self._inception(images)._asdict()

    def start(self) -> InceptionSamples:
        """Nothing seen yet."""
        logits = InceptionScoreSums(self.samples, splits=min(SPLITS, self.samples))
        return InceptionSamples(self._reference, FeatureSums(self._points), logits, self._inception.name)


class InceptionSamples:
    """What was seen of samples, and its scores."""

    def __init__(self, reference: FeatureReference, sums: FeatureSums, logits: InceptionScoreSums, name: str):
        """`name` is that of the features."""
        self._reference, self._sums, self._logits, self._name = reference, sums, logits, name

    def add(self, rows: Rows, labels: np.ndarray | None) -> None:  # noqa: ARG002
        """Count samples, whatever they were asked for."""
        self._sums.add(rows["features"])
        self._logits.add(rows["logits"])

    def scores(self) -> dict[str, float]:
        """By name."""
        scores = {
            "fid": self._reference.frechet(self._sums),
            "kid": kernel_distance(self._reference.points, self._sums.points.features),
            "inception_score": self._logits.score().mean,
            **self._reference.manifold(self._sums),
        }
        return {f"{score}/{self._name}": value for score, value in scores.items()}

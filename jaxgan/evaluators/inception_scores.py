"""The standard scores (FID, KID, Inception score and others), in the features of Inception-v3."""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxgan.data.sources import Source
from jaxgan.evaluators.feature_scores import FeatureSamples, FeatureScores
from jaxgan.evaluators.inception_features import load_inception
from jaxgan.metrics.inception_score import InceptionScoreSums
from jaxgan.metrics.kernel import kernel_distance
from jaxgan.metrics.precision_recall import ManifoldScores

RESIZE = "tensorflow1-bilinear-299"
SPLITS = 10  # for the Inception score


class InceptionScores(FeatureScores):
    """Frechet and kernel distance (FID, KID), Inception score, precision, recall, density, coverage."""

    names = ("fid", "kid", "inception_score", *ManifoldScores._fields)
    most_images = 50_000
    most_points = 10_000  # for all scores except the Frechet distance
    points_name = "points"

    def __init__(self, source: Source, *, weights: str | None, **settings: Any):
        """Read the weights, and read the statistics of the reference from the cache or compute them.

        Raises UserError without a file of weights.
        """
        self._look = load_inception(weights)
        seen_with = {"resize": RESIZE, "weights": self._look.checksum}
        super().__init__(source, name=self._look.name, seen_with=seen_with, made_with=seen_with, **settings)

    def features(self, images: np.ndarray) -> np.ndarray:
        """Features `[n,2048]` of images in [0, 255]."""
        return self._look(images).features

    def describe(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Features `[n,2048]` and logits `[n,1008]` of uint8 images."""
        return self._look(images)._asdict()

    def counters(self) -> dict[str, Any]:
        """The accumulator of the logits, for the Inception score."""
        return {"logits": InceptionScoreSums(self.samples, splits=min(SPLITS, self.samples))}

    def values(self, seen: FeatureSamples) -> dict[str, float]:
        """Scores by name."""
        return {
            "fid": self.reference.frechet(seen.sums),
            "kid": kernel_distance(self.reference.points, seen.sums.points.features),
            "inception_score": seen.counted["logits"].score().mean,
            **self.reference.manifold(seen.sums),
        }

"""The scores of the literature, in the features of Inception-v3."""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxgan.data.sources import Source
from jaxgan.evaluators.inception_features import load_inception
from jaxgan.evaluators.reference import draw, identity
from jaxgan.evaluators.reference_cache import cached
from jaxgan.metrics.frechet import Gaussian, frechet_distance, gaussian
from jaxgan.metrics.inception_score import inception_score
from jaxgan.metrics.kernel import kernel_distance
from jaxgan.metrics.precision_recall import ManifoldScores, manifold_scores, neighbour_radii

REFERENCE_IMAGES = 50_000  # at most
POINTS = 10_000  # at most, of each set, for all scores but the Frechet distance
CHUNK = 1_000  # reference images held at a time
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
        self._inception, self._neighbours = load_inception(weights), neighbours
        count = min(source.spec.size, REFERENCE_IMAGES)
        description = {
            "reference": identity(source),
            "reference_images": count,
            "reference_seed": seed,
            "resize": RESIZE,
            "weights": self._inception.checksum,
        }
        stored = cached(cache_dir, description, lambda: self._statistics(source, count, seed))
        self._gaussian = Gaussian(stored["mean"], stored["covariance"])
        self._points = min(samples, len(stored["features"]))
        self._real = stored["features"][: self._points]
        self._radii = neighbour_radii(self._real, neighbours)
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

    def __call__(self, images: np.ndarray, asked: np.ndarray | None) -> dict[str, float]:  # noqa: ARG002
        """Scores of uint8 images."""
        features, logits = self._inception(images)
        points = features[: self._points]
        scores = {
            "fid": frechet_distance(*self._gaussian, *gaussian(features)),
            "kid": kernel_distance(self._real, points),
            "inception_score": inception_score(logits, splits=min(SPLITS, len(logits))).mean,
            **manifold_scores(self._real, points, neighbours=self._neighbours, real_radii=self._radii)._asdict(),
        }
        return {f"{score}/{self._inception.name}": value for score, value in scores.items()}

    def _statistics(self, source: Source, count: int, seed: int) -> dict[str, np.ndarray]:
        images = draw(source, count, seed).images
        parts = [self._inception(images[start : start + CHUNK]).features for start in range(0, count, CHUNK)]
        features = np.concatenate(parts)
        mean, covariance = gaussian(features)
        return {"mean": mean, "covariance": covariance, "features": features[:POINTS]}

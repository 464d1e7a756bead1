"""What all scores in the features of a network share: those of real images, kept, and those of samples, counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxgan.data.sources import Source, describe
from jaxgan.evaluators.feature_sums import FeatureReference, FeatureSums, sums_of_reals
from jaxgan.evaluators.reference import told_of
from jaxgan.evaluators.reference_cache import cached
from jaxgan.evaluators.streams import Points, Rows
from jaxgan.metrics.class_balance import label_accuracy

REFERENCE_IMAGES = 10_000  # at most
MANIFOLD_POINTS = 5_000  # at most, of each set


class FeatureScores:
    """Compares samples with real images in the features of a network.

    A kind of scores has the network before this begins, describes images with it, and says what its scores are.
    """

    names: tuple[str, ...] = ()
    most_images, most_points = REFERENCE_IMAGES, MANIFOLD_POINTS
    points_name = "manifold_points"  # in the manifest

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
        """Take the sums of the reference's features from `cache_dir`, or make them.

        `name` is that of the features. They depend on what they are `seen_with`, for their cache; what scores are
        `made_with` beside it is in the manifest. With classes their variances are kept apart.
        """
        count = min(source.spec.size, self.most_images)
        self.samples, self.name, self.num_classes = samples, name, num_classes
        self.points = min(samples, count, self.most_points)

        def see() -> dict[str, np.ndarray]:
            return sums_of_reals(source, self.describe, count, seed, points=self.most_points, num_classes=num_classes)

        told = told_of(source, count, seed)
        described = {key: value for key, value in told.items() if key != "data"} | dict(seen_with)
        stored = cached(cache_dir, described, see, [describe(source)])
        self.reference = FeatureReference(stored, points=self.points, neighbours=neighbours)
        self.manifest: dict[str, Any] = {
            "features": name,
            **made_with,
            **told,
            "samples": samples,
            self.points_name: self.points,
            "neighbours": neighbours,
        }

    def describe(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Of uint8 images `[n,H,W,C]`: `features` `[n,D]`, and what is counted beside them."""
        raise NotImplementedError

    def counters(self) -> dict[str, Any]:
        """What counts the descriptions beside `features`, by name: each with `add(rows)`."""
        return {"predicted": Points(self.samples)}

    def values(self, seen: FeatureSamples) -> dict[str, float]:
        """The scores by name, without the features."""
        raise NotImplementedError

    def start(self) -> FeatureSamples:
        """Nothing seen yet."""
        return FeatureSamples(self)


class FeatureSamples:
    """What was seen of samples, and its scores."""

    def __init__(self, scorer: FeatureScores):
        """Nothing yet."""
        self._scorer, self._asked = scorer, list[np.ndarray]()
        self.sums, self.counted = FeatureSums(scorer.points, num_classes=scorer.num_classes), scorer.counters()

    def add(self, rows: Rows, labels: np.ndarray | None) -> None:
        """Count samples; `labels` are those asked for, None if the generator takes none."""
        classes = rows.get("predicted") if labels is None else labels
        self.sums.add(rows["features"], classes if self._scorer.num_classes > 1 else None)
        for name, counter in self.counted.items():
            counter.add(rows[name])
        if labels is not None:
            self._asked.append(labels)

    @property
    def asked(self) -> np.ndarray | None:
        """The labels that samples were asked for; None where they were for none."""
        return np.concatenate(self._asked) if self._asked else None

    @property
    def predicted(self) -> np.ndarray:
        """The class, or mode, that each is of by the network."""
        return self.counted["predicted"].features

    def label_accuracy(self) -> dict[str, float]:
        """The share that is what was asked for, as `{"label_accuracy": value}`; empty where nothing was."""
        return {} if self.asked is None else {"label_accuracy": label_accuracy(self.predicted, self.asked)}

    def scores(self) -> dict[str, float]:
        """By name."""
        return {f"{score}/{self._scorer.name}": value for score, value in self._scorer.values(self).items()}

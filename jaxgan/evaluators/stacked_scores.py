"""Scores of samples of a stacked data set: modes found, and distances in the features of the channels.

A classifier of the base set looks at each channel by itself; a mode is the three classes that it reads.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxgan.data.sources import Source, describe
from jaxgan.data.stacked import StackedSource
from jaxgan.evaluators.classifier_features import load_or_train_classifier
from jaxgan.evaluators.classifier_scores import (
    MANIFOLD_POINTS,
    REFERENCE_IMAGES,
    classifier_data,
    reference_description,
)
from jaxgan.evaluators.feature_sums import FeatureReference, FeatureSums, sums_of_reals
from jaxgan.evaluators.reference import identity
from jaxgan.evaluators.reference_cache import cached
from jaxgan.evaluators.streams import Rows
from jaxgan.metrics.class_balance import label_accuracy
from jaxgan.metrics.modes import mode_divergence, modes_found
from jaxgan.metrics.precision_recall import ManifoldScores


class StackedScores:
    """Modes found, KL(samples || uniform modes), Frechet distance, precision, recall, diversity."""

    names = ("frechet", "modes_found", "mode_divergence", *ManifoldScores._fields, "diversity", "label_accuracy")

    def __init__(
        self,
        source: StackedSource,
        held_out: Source | None,
        *,
        samples: int,
        neighbours: int,
        cache_dir: str,
        seed: int,
    ):
        """Take the classifier of the base and the features of the reference from `cache_dir`, or make them.

        It is the very classifier that the base has as a data set of its own.
        """
        base, test = source.base, held_out.base if isinstance(held_out, StackedSource) else None
        self.samples = samples
        self._num_classes, self._num_modes = len(base.spec.classes), len(source.spec.classes)
        self._classifier = load_or_train_classifier(
            data=identity(base) if test is None else f"{identity(base)}; {identity(test)}",
            num_classes=self._num_classes,
            read=lambda: classifier_data(base, test, seed),
            cache_dir=cache_dir,
            sources=[describe(each) for each in (base, test) if each is not None],
        )
        self._name = f"stacked-{self._classifier.name}"
        count = min(source.spec.size, REFERENCE_IMAGES)
        self._points = min(samples, count, MANIFOLD_POINTS)

        def see() -> dict[str, np.ndarray]:
            return sums_of_reals(source, self.describe, count, seed, points=MANIFOLD_POINTS)

        description = reference_description(source, self._name, self._classifier.checksum, seed)
        stored = cached(cache_dir, description, see, [describe(source)])
        self._reference = FeatureReference(stored, points=self._points, neighbours=neighbours)
        self.manifest: dict[str, Any] = {
            "features": self._name,
            "classifier_fingerprint": self._classifier.fingerprint,
            "classifier_weights": self._classifier.checksum,
            "classifier_accuracy": self._classifier.accuracy,
            "data": f"{source.spec.name}/{source.spec.split}",
            "reference": identity(source),
            "reference_images": int(self._reference.variances.counts.sum()),
            "reference_seed": seed,
            "samples": samples,
            "modes": self._num_modes,
            "manifold_points": self._points,
            "neighbours": neighbours,
        }

    def describe(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Of uint8 images `[n,H,W,3]`: features of all channels side by side, and the modes read in them."""
        channels = [self._classifier(images[..., index, None]) for index in range(images.shape[-1])]
        classes = tuple(channel.predicted for channel in channels)
        modes = np.ravel_multi_index(classes, (self._num_classes,) * len(channels)).astype(np.int32)
        return {"features": np.concatenate([channel.features for channel in channels], axis=1), "predicted": modes}

    def start(self) -> StackedSamples:
        """Nothing seen yet."""
        return StackedSamples(self._reference, FeatureSums(self._points), self._num_modes, self._name)


class StackedSamples:
    """What was seen of samples, and its scores."""

    def __init__(self, reference: FeatureReference, sums: FeatureSums, num_modes: int, name: str):
        """`name` is that of the features."""
        self._reference, self._sums, self._num_modes, self._name = reference, sums, num_modes, name
        self._predicted: list[np.ndarray] = []
        self._asked: list[np.ndarray] = []

    def add(self, rows: Rows, labels: np.ndarray | None) -> None:
        """Count samples; `labels` are those asked for, None if the generator takes none."""
        self._sums.add(rows["features"])
        self._predicted.append(rows["predicted"])
        if labels is not None:
            self._asked.append(labels)

    def scores(self) -> dict[str, float]:
        """By name."""
        predicted = np.concatenate(self._predicted)
        scores = {
            "frechet": self._reference.frechet(self._sums),
            "modes_found": float(modes_found(predicted, num_modes=self._num_modes)),
            "mode_divergence": mode_divergence(predicted, num_modes=self._num_modes),
            **self._reference.manifold(self._sums),
            **self._reference.diversity(self._sums),
        }
        if self._asked:
            scores["label_accuracy"] = label_accuracy(predicted, np.concatenate(self._asked))
        return {f"{score}/{self._name}": value for score, value in scores.items()}

"""Scores of samples of a labelled data set, in the features of a classifier trained on its labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxgan.data.sources import Source, describe
from jaxgan.evaluators.classifier_features import load_or_train_classifier
from jaxgan.evaluators.feature_sums import FeatureReference, FeatureSums, sums_of_reals
from jaxgan.evaluators.reference import Images, draw, identity
from jaxgan.evaluators.reference_cache import cached
from jaxgan.evaluators.streams import Rows
from jaxgan.metrics.class_balance import class_balance, label_accuracy
from jaxgan.metrics.precision_recall import ManifoldScores

REFERENCE_IMAGES = 10_000  # at most
MANIFOLD_POINTS = 5_000  # at most, of each set
CLASSIFIER_IMAGES = 60_000  # at most, to train the classifier on
HELD_OUT_IMAGES = 10_000  # at most, to measure the classifier on


class ClassifierScores:
    """Frechet distance, precision, recall, density, coverage, class balance, diversity, label accuracy."""

    names = (*("frechet", *ManifoldScores._fields), "class_balance", "diversity", "label_accuracy")

    def __init__(
        self,
        source: Source,
        held_out: Source | None,
        *,
        samples: int,
        neighbours: int,
        cache_dir: str,
        seed: int,
    ):
        """Take the classifier and the sums of the reference's features from `cache_dir`, or make them.

        `held_out` None: a tenth of the images is held out of the classifier's training.
        """
        self.samples, self._num_classes = samples, len(source.spec.classes)
        self._features = load_or_train_classifier(
            data=identity(source) if held_out is None else f"{identity(source)}; {identity(held_out)}",
            num_classes=self._num_classes,
            read=lambda: classifier_data(source, held_out, seed),
            cache_dir=cache_dir,
            sources=[describe(each) for each in (source, held_out) if each is not None],
        )
        count = min(source.spec.size, REFERENCE_IMAGES)
        self._points = min(samples, count, MANIFOLD_POINTS)

        def see() -> dict[str, np.ndarray]:
            return sums_of_reals(
                source, self.describe, count, seed, points=MANIFOLD_POINTS, num_classes=self._num_classes
            )

        description = reference_description(source, self._features.name, self._features.checksum, seed)
        stored = cached(cache_dir, description, see, [describe(source)])
        self.reference = FeatureReference(stored, points=self._points, neighbours=neighbours)
        self.manifest: dict[str, Any] = {
            "features": self._features.name,
            "classifier_fingerprint": self._features.fingerprint,
            "classifier_weights": self._features.checksum,
            "classifier_accuracy": self._features.accuracy,
            "data": f"{source.spec.name}/{source.spec.split}",
            "reference": identity(source),
            "reference_images": int(self.reference.variances.counts.sum()),
            "reference_seed": seed,
            "samples": samples,
            "manifold_points": self._points,
            "neighbours": neighbours,
        }

    def features(self, images: np.ndarray) -> np.ndarray:
        """Features `[n,D]` of images of 0 to 255."""
        return self._features(images).features

    def describe(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Features `[n,D]` and predicted classes `[n]` of uint8 images."""
        return self._features(images)._asdict()

    def start(self) -> ClassifiedSamples:
        """Nothing seen yet."""
        sums = FeatureSums(self._points, num_classes=self._num_classes)
        return ClassifiedSamples(self.reference, sums, self._features.name)


class ClassifiedSamples:
    """What was seen of samples, and its scores."""

    def __init__(self, reference: FeatureReference, sums: FeatureSums, name: str):
        """`name` is that of the features; the reference's counts are by class."""
        self._reference, self._sums, self._name = reference, sums, name
        self._predicted: list[np.ndarray] = []
        self._asked: list[np.ndarray] = []

    def add(self, rows: Rows, labels: np.ndarray | None) -> None:
        """Count samples; `labels` are those asked for, None if the generator takes none."""
        self._sums.add(rows["features"], rows["predicted"] if labels is None else labels)
        self._predicted.append(rows["predicted"])
        if labels is not None:
            self._asked.append(labels)

    def scores(self) -> dict[str, float]:
        """By name."""
        counts = self._reference.variances.counts
        asked = np.concatenate(self._asked) if self._asked else None
        predicted = np.concatenate(self._predicted)
        expected = np.repeat(np.arange(len(counts)), counts) if asked is None else asked
        scores = {
            "frechet": self._reference.frechet(self._sums),
            **self._reference.manifold(self._sums),
            "class_balance": class_balance(predicted, expected, num_classes=len(counts)),
            **self._reference.diversity(self._sums, asked=asked),
        }
        if asked is not None:
            scores["label_accuracy"] = label_accuracy(predicted, asked)
        return {f"{score}/{self._name}": value for score, value in scores.items()}


def reference_description(source: Source, features: str, checksum: str, seed: int) -> dict[str, Any]:
    """What the features of the reference depend on, for their cache; `checksum` is of the network's weights."""
    return {
        "reference": identity(source),
        "reference_images": min(source.spec.size, REFERENCE_IMAGES),
        "reference_seed": seed,
        "features": features,
        "weights": checksum,
    }


def classifier_data(source: Source, held_out: Source | None, seed: int) -> tuple[Images, Images]:
    """What a classifier is trained on and what it is measured on: of each class that there is, some to train on."""
    train = draw(source, CLASSIFIER_IMAGES, seed)
    if held_out is not None:
        return train, draw(held_out, HELD_OUT_IMAGES, seed)
    apart = np.arange(len(train.images)) < max(1, len(train.images) // 10)
    for label in np.setdiff1d(train.labels, train.labels[~apart]):
        apart[np.flatnonzero(train.labels == label)[0]] = False
    return Images(*(rows[~apart] for rows in train)), Images(*(rows[apart] for rows in train))

"""Scores of samples of a labelled data set, in the features of a classifier trained on its labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxgan.data.sources import Source, describe
from jaxgan.evaluators.classifier_features import NetworkFeatures, load_or_train_classifier
from jaxgan.evaluators.feature_scores import FeatureSamples, FeatureScores
from jaxgan.evaluators.reference import Images, identity, random_examples
from jaxgan.metrics.class_balance import class_balance
from jaxgan.metrics.precision_recall import ManifoldScores

CLASSIFIER_IMAGES = 60_000  # maximum number to train the classifier on
HELD_OUT_IMAGES = 10_000  # maximum number to measure its accuracy on


class ClassifierScores(FeatureScores):
    """Frechet distance, precision, recall, density, coverage, class balance, diversity, label accuracy."""

    names = (*("frechet", *ManifoldScores._fields), "class_balance", "diversity", "label_accuracy")

    def __init__(self, source: Source, held_out: Source | None, *, cache_dir: str, seed: int, **settings: Any):
        """Read the classifier and the sums of the reference's features from `cache_dir`, or compute and store them.

        `held_out` None: a tenth of the images is held out of the classifier's training.
        """
        self._look = classifier_of(source, held_out, cache_dir=cache_dir, seed=seed)
        super().__init__(
            source,
            name=self._look.name,
            seen_with={"features": self._look.name, "weights": self._look.checksum},
            made_with=classifier_description(self._look),
            cache_dir=cache_dir,
            seed=seed,
            num_classes=len(source.spec.classes),
            **settings,
        )

    def features(self, images: np.ndarray) -> np.ndarray:
        """Features `[n,D]` of images in [0, 255]."""
        return self._look(images).features

    def describe(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Features `[n,D]` and predicted classes `[n]` of uint8 images."""
        return self._look(images)._asdict()

    def values(self, seen: FeatureSamples) -> dict[str, float]:
        """Scores by name."""
        counts, asked = self.reference.variances.counts, seen.asked
        expected = np.repeat(np.arange(len(counts)), counts) if asked is None else asked
        return {
            "frechet": self.reference.frechet(seen.sums),
            **self.reference.manifold(seen.sums),
            "class_balance": class_balance(seen.predicted, expected, num_classes=len(counts)),
            **self.reference.diversity(seen.sums, asked=asked),
            **seen.label_accuracy(),
        }


def classifier_of(source: Source, held_out: Source | None, *, cache_dir: str, seed: int) -> NetworkFeatures:
    """The classifier of a labelled data set, from `cache_dir` or trained; `held_out` as in `ClassifierScores`."""
    return load_or_train_classifier(
        data=identity(source) if held_out is None else f"{identity(source)}; {identity(held_out)}",
        num_classes=len(source.spec.classes),
        clips=source.spec.image.clip,
        read=lambda: classifier_data(source, held_out, seed),
        cache_dir=cache_dir,
        sources=[describe(each) for each in (source, held_out) if each is not None],
    )


def classifier_description(classifier: NetworkFeatures) -> dict[str, Any]:
    """The manifest entries that identify a classifier."""
    return {
        "classifier_fingerprint": classifier.fingerprint,
        "classifier_weights": classifier.checksum,
        "classifier_accuracy": classifier.accuracy,
    }


def classifier_data(source: Source, held_out: Source | None, seed: int) -> tuple[Images, Images]:
    """Training and held-out images of a classifier. The training images include every class that occurs."""
    train = random_examples(source, CLASSIFIER_IMAGES, seed)
    if held_out is not None:
        return train, random_examples(held_out, HELD_OUT_IMAGES, seed)
    apart = np.arange(len(train.images)) < max(1, len(train.images) // 10)
    for label in np.setdiff1d(train.labels, train.labels[~apart]):
        apart[np.flatnonzero(train.labels == label)[0]] = False
    return Images(*(rows[~apart] for rows in train)), Images(*(rows[apart] for rows in train))

"""Scores of samples of a labelled data set, in the features of a classifier trained on its labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxgan.data.sources import Source
from jaxgan.evaluators.classifier_features import load_or_train_classifier
from jaxgan.evaluators.reference import Images, draw, identity
from jaxgan.evaluators.reference_cache import cached
from jaxgan.metrics.class_balance import class_balance, label_accuracy
from jaxgan.metrics.diversity import diversity
from jaxgan.metrics.frechet import frechet_distance, gaussian
from jaxgan.metrics.precision_recall import ManifoldScores, manifold_scores, neighbour_radii

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
        """Take the classifier and the features of the reference from `cache_dir`, or make them.

        `held_out` None: a tenth of the images is held out of the classifier's training.
        """
        self._neighbours, self._num_classes = neighbours, source.spec.num_classes
        self._features = load_or_train_classifier(
            data=identity(source) if held_out is None else f"{identity(source)}; {identity(held_out)}",
            num_classes=self._num_classes,
            read=lambda: classifier_data(source, held_out, seed),
            cache_dir=cache_dir,
        )
        description = reference_description(source, self._features.name, self._features.checksum, seed)

        def see() -> dict[str, np.ndarray]:
            images, labels = draw(source, REFERENCE_IMAGES, seed)
            return {"features": self._features(images).features, "labels": labels}

        stored = cached(cache_dir, description, see)
        self._real, self._labels = stored["features"], stored["labels"]
        self._gaussian = gaussian(self._real)
        self._points = min(samples, len(self._real), MANIFOLD_POINTS)
        self._radii = neighbour_radii(self._real[: self._points], neighbours)
        self.manifest: dict[str, Any] = {
            "features": self._features.name,
            "classifier_fingerprint": self._features.fingerprint,
            "classifier_weights": self._features.checksum,
            "classifier_accuracy": self._features.accuracy,
            "data": f"{source.spec.name}/{source.spec.split}",
            "reference": identity(source),
            "reference_images": len(self._real),
            "reference_seed": seed,
            "samples": samples,
            "manifold_points": self._points,
            "neighbours": neighbours,
        }

    def features(self, images: np.ndarray) -> np.ndarray:
        """Features `[n,D]` of images of 0 to 255."""
        return self._features(images).features

    def __call__(self, images: np.ndarray, asked: np.ndarray | None) -> dict[str, float]:
        """Scores of uint8 images; `asked` are their labels, None if the generator takes none."""
        features, predicted = self._features(images)
        fakes = gaussian(features)
        manifold = manifold_scores(
            self._real[: self._points],
            features[: self._points],
            neighbours=self._neighbours,
            real_radii=self._radii,
        )
        scores = {
            "frechet": frechet_distance(*self._gaussian, *fakes),
            **manifold._asdict(),
            "class_balance": class_balance(
                predicted, self._labels if asked is None else asked, num_classes=self._num_classes
            ),
            "diversity": diversity(
                features,
                self._real,
                fake_labels=predicted if asked is None else asked,
                real_labels=self._labels,
            ),
        }
        if asked is not None:
            scores["label_accuracy"] = label_accuracy(predicted, asked)
        return {f"{score}/{self._features.name}": value for score, value in scores.items()}


def reference_description(source: Source, features: str, checksum: str, seed: int) -> dict[str, Any]:
    """What the features of the reference depend on, for their cache; `checksum` is of the classifier's weights."""
    return {
        "reference": identity(source),
        "reference_images": min(source.spec.size, REFERENCE_IMAGES),
        "reference_seed": seed,
        "features": features,
        "weights": checksum,
    }


def classifier_data(source: Source, held_out: Source | None, seed: int) -> tuple[Images, Images]:
    """What a classifier is trained on and what it is measured on."""
    train = draw(source, CLASSIFIER_IMAGES, seed)
    if held_out is not None:
        return train, draw(held_out, HELD_OUT_IMAGES, seed)
    count = max(1, len(train.images) // 10)
    return Images(*(rows[count:] for rows in train)), Images(*(rows[:count] for rows in train))

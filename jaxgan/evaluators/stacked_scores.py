"""Scores of samples of a stacked data set: modes found, and distances in the features of the channels.

A classifier of the base set looks at each channel by itself; a mode is the three classes that it reads.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxgan.data.sources import Source
from jaxgan.data.stacked import StackedSource
from jaxgan.evaluators.classifier_features import Classified, load_or_train_classifier
from jaxgan.evaluators.classifier_scores import (
    MANIFOLD_POINTS,
    REFERENCE_IMAGES,
    classifier_data,
    reference_description,
)
from jaxgan.evaluators.reference import draw, identity
from jaxgan.evaluators.reference_cache import cached
from jaxgan.metrics.class_balance import label_accuracy
from jaxgan.metrics.diversity import diversity
from jaxgan.metrics.frechet import frechet_distance, gaussian
from jaxgan.metrics.modes import mode_divergence, modes_found
from jaxgan.metrics.precision_recall import ManifoldScores, manifold_scores, neighbour_radii


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
        self._num_classes, self._num_modes, self._neighbours = (
            base.spec.num_classes,
            source.spec.num_classes,
            neighbours,
        )
        self._classifier = load_or_train_classifier(
            data=identity(base) if test is None else f"{identity(base)}; {identity(test)}",
            num_classes=self._num_classes,
            read=lambda: classifier_data(base, test, seed),
            cache_dir=cache_dir,
        )
        self._name = f"stacked-{self._classifier.name}"
        description = reference_description(source, self._name, self._classifier.checksum, seed)

        def see() -> dict[str, np.ndarray]:
            return {"features": self._classify(draw(source, REFERENCE_IMAGES, seed).images).features}

        self._real = cached(cache_dir, description, see)["features"]
        self._gaussian = gaussian(self._real)
        self._points = min(samples, len(self._real), MANIFOLD_POINTS)
        self._radii = neighbour_radii(self._real[: self._points], neighbours)
        self.manifest: dict[str, Any] = {
            "features": self._name,
            "classifier_fingerprint": self._classifier.fingerprint,
            "classifier_weights": self._classifier.checksum,
            "classifier_accuracy": self._classifier.accuracy,
            "data": f"{source.spec.name}/{source.spec.split}",
            "reference": identity(source),
            "reference_images": len(self._real),
            "reference_seed": seed,
            "samples": samples,
            "modes": self._num_modes,
            "manifold_points": self._points,
            "neighbours": neighbours,
        }

    def __call__(self, images: np.ndarray, asked: np.ndarray | None) -> dict[str, float]:
        """Scores of uint8 images `[n,H,W,3]`; `asked` are their labels, None if the generator takes none."""
        features, predicted = self._classify(images)
        points = features[: self._points]
        scores = {
            "frechet": frechet_distance(*self._gaussian, *gaussian(features)),
            "modes_found": float(modes_found(predicted, num_modes=self._num_modes)),
            "mode_divergence": mode_divergence(predicted, num_modes=self._num_modes),
            **manifold_scores(
                self._real[: self._points], points, neighbours=self._neighbours, real_radii=self._radii
            )._asdict(),
            "diversity": diversity(features, self._real),
        }
        if asked is not None:
            scores["label_accuracy"] = label_accuracy(predicted, asked)
        return {f"{score}/{self._name}": value for score, value in scores.items()}

    def _classify(self, images: np.ndarray) -> Classified:
        """Features of all channels, side by side, and the modes read in them."""
        channels = [self._classifier(images[..., index, None]) for index in range(images.shape[-1])]
        classes = tuple(channel.predicted for channel in channels)
        modes = np.ravel_multi_index(classes, (self._num_classes,) * len(channels)).astype(np.int32)
        return Classified(np.concatenate([channel.features for channel in channels], axis=1), modes)

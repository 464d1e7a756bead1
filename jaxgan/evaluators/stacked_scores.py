"""Scores of samples of a stacked data set: modes found, and distances in the features of the channels.

A classifier of the base set is applied to each channel; a mode is the triple of predicted classes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxgan.data.sources import Source
from jaxgan.data.stacked import StackedSource
from jaxgan.evaluators.classifier_scores import classifier_description, classifier_of
from jaxgan.evaluators.feature_scores import FeatureSamples, FeatureScores
from jaxgan.metrics.modes import mode_divergence, modes_found
from jaxgan.metrics.precision_recall import ManifoldScores


class StackedScores(FeatureScores):
    """Modes found, KL(samples || uniform modes), Frechet distance, precision, recall, diversity."""

    names = ("frechet", "modes_found", "mode_divergence", *ManifoldScores._fields, "diversity", "label_accuracy")

    def __init__(self, source: StackedSource, held_out: Source | None, *, cache_dir: str, seed: int, **settings: Any):
        """Read the classifier of the base and the sums of the reference's features from `cache_dir`, or make them.

        The classifier is the same one that is used for the base as a data set of its own.
        """
        base, test = source.base, held_out.base if isinstance(held_out, StackedSource) else None
        self._bases, self._modes = len(base.spec.classes), len(source.spec.classes)
        self._look = classifier_of(base, test, cache_dir=cache_dir, seed=seed)
        name = f"stacked-{self._look.name}"
        super().__init__(
            source,
            name=name,
            seen_with={"features": name, "weights": self._look.checksum},
            made_with={**classifier_description(self._look), "modes": self._modes},
            cache_dir=cache_dir,
            seed=seed,
            **settings,
        )

    def describe(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Concatenated features of the channels, and the predicted modes, of uint8 images `[n,H,W,3]`."""
        channels = [self._look(images[..., index, None]) for index in range(images.shape[-1])]
        classes = tuple(channel.predicted for channel in channels)
        modes = np.ravel_multi_index(classes, (self._bases,) * len(channels)).astype(np.int32)
        return {"features": np.concatenate([channel.features for channel in channels], axis=1), "predicted": modes}

    def values(self, seen: FeatureSamples) -> dict[str, float]:
        """Scores by name."""
        return {
            "frechet": self.reference.frechet(seen.sums),
            "modes_found": float(modes_found(seen.predicted, num_modes=self._modes)),
            "mode_divergence": mode_divergence(seen.predicted, num_modes=self._modes),
            **self.reference.manifold(seen.sums),
            **self.reference.diversity(seen.sums),
            **seen.label_accuracy(),
        }

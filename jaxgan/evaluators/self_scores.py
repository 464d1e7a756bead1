"""Scores of samples of a data set without labels, in the features of a network that trained itself on it."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxgan import signals
from jaxgan.data.sources import Source, describe
from jaxgan.evaluators.classifier_scores import (
    MANIFOLD_POINTS,
    REFERENCE_IMAGES,
    reference_description,
)
from jaxgan.evaluators.feature_sums import FeatureReference, FeatureSums, sums_of_reals
from jaxgan.evaluators.reference import identity
from jaxgan.evaluators.reference_cache import cached
from jaxgan.evaluators.self_features import SelfRecipe, load_or_train_self, seen_as
from jaxgan.evaluators.streams import CHUNK_BYTES, CHUNK_IMAGES, Rows
from jaxgan.metrics.precision_recall import ManifoldScores
from jaxgan.models.classifier import LARGEST, reduced

TRAINING_IMAGES = 20_000  # at most, to train the network on


class SelfScores:
    """Frechet distance, precision, recall, density, coverage and diversity."""

    names = (*("frechet", *ManifoldScores._fields), "diversity")

    def __init__(
        self,
        source: Source,
        *,
        samples: int,
        neighbours: int,
        cache_dir: str,
        seed: int,
        recipe: SelfRecipe | None = None,
    ):
        """Take the network and the sums of the reference's features from `cache_dir`, or make them."""
        self.samples = samples
        self._features = load_or_train_self(
            data=trained_on(source, seed),
            read=lambda: training_images(source, seed),
            cache_dir=cache_dir,
            recipe=recipe,
            sources=[describe(source)],
        )
        count = min(source.spec.size, REFERENCE_IMAGES)
        self._points = min(samples, count, MANIFOLD_POINTS)

        def see() -> dict[str, np.ndarray]:
            return sums_of_reals(source, self.describe, count, seed, points=MANIFOLD_POINTS)

        description = reference_description(source, self._features.name, self._features.checksum, seed)
        stored = cached(cache_dir, description, see, [describe(source)])
        self._reference = FeatureReference(stored, points=self._points, neighbours=neighbours)
        self.manifest: dict[str, Any] = {
            "features": self._features.name,
            "network_fingerprint": self._features.fingerprint,
            "network_weights": self._features.checksum,
            "seen_as": seen_as(*source.spec.image.known[-3:-1]),
            "data": f"{source.spec.name}/{source.spec.split}",
            "reference": identity(source),
            "reference_images": int(self._reference.variances.counts.sum()),
            "reference_seed": seed,
            "samples": samples,
            "manifold_points": self._points,
            "neighbours": neighbours,
        }

    def features(self, images: np.ndarray) -> np.ndarray:
        """Features `[n,D]` of images of 0 to 255."""
        return self._features(images)

    def describe(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Features `[n,D]` of uint8 images."""
        return {"features": self._features(images)}

    def start(self) -> EncodedSamples:
        """Nothing seen yet."""
        return EncodedSamples(self._reference, FeatureSums(self._points), self._features.name)


class EncodedSamples:
    """What was seen of samples, and its scores."""

    def __init__(self, reference: FeatureReference, sums: FeatureSums, name: str):
        """`name` is that of the features."""
        self._reference, self._sums, self._name = reference, sums, name

    def add(self, rows: Rows, labels: np.ndarray | None) -> None:  # noqa: ARG002
        """Count samples, whatever they were asked for."""
        self._sums.add(rows["features"])

    def scores(self) -> dict[str, float]:
        """By name."""
        scores = {
            "frechet": self._reference.frechet(self._sums),
            **self._reference.manifold(self._sums),
            **self._reference.diversity(self._sums),
        }
        return {f"{score}/{self._name}": value for score, value in scores.items()}


def trained_on(source: Source, seed: int) -> str:
    """What tells the images that a network is trained on from all others: see `training_images`."""
    return f"{identity(source)}; at most {TRAINING_IMAGES} images by seed {seed}"


def training_images(source: Source, seed: int) -> np.ndarray:
    """Images uint8 `[n,h,w,C]` in random order by seed, at the size at which the network sees them.

    They are read in chunks, so that large ones are never held.
    """
    spec, parts = source.spec, []
    order = np.random.default_rng(seed).permutation(spec.size)[:TRAINING_IMAGES]
    size = max(1, min(CHUNK_IMAGES, CHUNK_BYTES // spec.image.nbytes))
    for start in range(0, len(order), size):
        signals.check()
        images = source.read(order[start : start + size])["image"]
        if max(spec.image.known[-3:-1]) > LARGEST:
            small = np.asarray(reduced(jnp.asarray(images, jnp.float32)))
            images = np.rint(np.clip(small, 0, 255)).astype(np.uint8)
        parts.append(images)
    return np.concatenate(parts)

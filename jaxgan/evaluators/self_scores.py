"""Scores of samples of a data set without labels, in the features of a network with self-supervised training on it."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxgan.data.sources import Source, describe
from jaxgan.evaluators.feature_scores import FeatureSamples, FeatureScores
from jaxgan.evaluators.reference import identity
from jaxgan.evaluators.self_features import SelfRecipe, load_or_train_self, seen_as
from jaxgan.evaluators.streams import CHUNK_BYTES, CHUNK_IMAGES
from jaxgan.metrics.precision_recall import ManifoldScores
from jaxgan.models.classifier import LARGEST, reduced
from jaxgan.system import signals

TRAINING_IMAGES = 20_000  # maximum number to train the network on


class SelfScores(FeatureScores):
    """Frechet distance, precision, recall, density, coverage and diversity."""

    names = (*("frechet", *ManifoldScores._fields), "diversity")

    def __init__(self, source: Source, *, cache_dir: str, seed: int, recipe: SelfRecipe | None = None, **settings: Any):
        """Read the network and the sums of the reference's features from `cache_dir`, or compute and store them."""
        self._look = load_or_train_self(
            data=trained_on(source, seed),
            read=lambda: training_images(source, seed),
            cache_dir=cache_dir,
            recipe=recipe,
            sources=[describe(source)],
        )
        super().__init__(
            source,
            name=self._look.name,
            seen_with={"features": self._look.name, "weights": self._look.checksum},
            made_with={
                "network_fingerprint": self._look.fingerprint,
                "network_weights": self._look.checksum,
                "seen_as": seen_as(*source.spec.image.known[-3:-1]),
            },
            cache_dir=cache_dir,
            seed=seed,
            **settings,
        )

    def features(self, images: np.ndarray) -> np.ndarray:
        """Features `[n,D]` of images in [0, 255]."""
        return self._look(images).features

    def describe(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Features `[n,D]` of uint8 images."""
        return {"features": self.features(images)}

    def counters(self) -> dict[str, Any]:
        """None: the network's classes are not classes of the data."""
        return {}

    def values(self, seen: FeatureSamples) -> dict[str, float]:
        """Scores by name."""
        return {
            "frechet": self.reference.frechet(seen.sums),
            **self.reference.manifold(seen.sums),
            **self.reference.diversity(seen.sums),
        }


def trained_on(source: Source, seed: int) -> str:
    """An identifier of the network's training images, see `training_images`."""
    return f"{identity(source)}; at most {TRAINING_IMAGES} images by seed {seed}"


def training_images(source: Source, seed: int) -> np.ndarray:
    """Images uint8 `[n,h,w,C]` in random order, at the size at which the network sees them.

    They are read and reduced in chunks, so that the full-size images are never all in memory.
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

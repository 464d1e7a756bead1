"""Scores of samples of a data set without labels; they require no trained network."""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxgan.data.sources import Source
from jaxgan.evaluators.feature_sums import diversity_score
from jaxgan.evaluators.reference import description_of
from jaxgan.evaluators.streams import Points, Rows, describe_reals
from jaxgan.metrics.diversity import Spread
from jaxgan.metrics.precision_recall import manifold_scores, neighbour_radii
from jaxgan.metrics.pyramid import thumbnails
from jaxgan.metrics.sliced_wasserstein import PATCH, PATCH_FRAMES, PatchDescriptors, sliced_wasserstein_distance

MOST_IMAGES = 5_000  # of each set: patches are kept in memory, 38 kB per image and level at three channels
PATCHES_PER_IMAGE = 64
DIRECTIONS = 512


class PatchScores:
    """Sliced Wasserstein distance of patches by frequency band; recall and diversity of thumbnails."""

    names = ("swd", "recall", "diversity")

    def __init__(self, source: Source, *, samples: int, neighbours: int, seed: int):
        """Compute the statistics of the reference from `samples` real images, or as many as there are."""
        self.samples, self._neighbours, self._seed = min(samples, source.spec.size, MOST_IMAGES), neighbours, seed
        reference = _Described(self.samples, seed)
        for rows, _ in describe_reals(source, self.describe, self.samples, seed):
            reference.add(rows["images"])
        self._patches = reference.patches.descriptors()
        self._real = reference.thumbnails.features
        self._radii, self._variances = neighbour_radii(self._real, neighbours), _spread(self._real).variances()
        coarsest = min(self._patches)
        frames = f"{PATCH_FRAMES}x" if source.spec.image.frames else ""
        self._patch_name = f"patches-{frames}{PATCH}x{PATCH}"
        self._thumbnail_name = f"thumbnail-{coarsest}px"
        self.manifest: dict[str, Any] = {
            "features": [self._patch_name, self._thumbnail_name],
            **description_of(source, self.samples, seed),
            "samples": self.samples,
            "patches_per_image": PATCHES_PER_IMAGE,
            "directions": DIRECTIONS,
            "neighbours": neighbours,
        }

    def describe(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """The uint8 images themselves: their patches would be larger."""
        return {"images": images}

    def start(self) -> PatchSamples:
        """An empty accumulator of samples."""
        # other patches than the reference's, so that a copy of the data scores like new data of the same distribution
        return PatchSamples(self, _Described(self.samples, self._seed + 1))

    def scores(self, patches: dict[int, np.ndarray], fake: np.ndarray) -> dict[str, float]:
        """Scores of patch descriptors by level and thumbnails `[n,D]`, from as many images as the reference has."""
        distances = {
            size: sliced_wasserstein_distance(real, patches[size], directions=DIRECTIONS, seed=self._seed)
            for size, real in self._patches.items()
        }
        spread = diversity_score(_spread(fake), self._variances)
        overlap = manifold_scores(self._real, fake, neighbours=self._neighbours, real_radii=self._radii)
        return {
            f"swd/{self._patch_name}": float(np.mean(list(distances.values()))),
            **{f"swd/{self._patch_name}-{size}px": value for size, value in distances.items()},
            f"recall/{self._thumbnail_name}": overlap.recall,
            **{f"{name}/{self._thumbnail_name}": value for name, value in spread.items()},
        }


class PatchSamples:
    """Accumulates samples and computes their scores."""

    def __init__(self, scorer: PatchScores, described: _Described):
        """`described` accumulates their patches and thumbnails."""
        self._scorer, self._described = scorer, described

    def add(self, rows: Rows, labels: np.ndarray | None) -> None:  # noqa: ARG002
        """Add samples; labels are ignored."""
        self._described.add(rows["images"])

    def scores(self) -> dict[str, float]:
        """Scores by name. May be called only once."""
        return self._scorer.scores(self._described.patches.descriptors(), self._described.thumbnails.features)


class _Described:
    """Patches and thumbnails of a stream of images."""

    def __init__(self, most: int, seed: int):
        self.patches = PatchDescriptors(patches_per_image=PATCHES_PER_IMAGE, seed=seed)
        self.thumbnails = Points(most)

    def add(self, images: np.ndarray) -> None:
        self.patches.add(images)
        self.thumbnails.add(thumbnails(images.astype(np.float32)))


def _spread(points: np.ndarray) -> Spread:
    spread = Spread()
    spread.add(points)
    return spread

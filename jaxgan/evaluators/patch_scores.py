"""Scores of samples of a data set without labels: no trained network is needed."""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxgan.data.sources import Source
from jaxgan.evaluators.reference import draw, identity
from jaxgan.metrics.diversity import diversity
from jaxgan.metrics.precision_recall import manifold_scores, neighbour_radii
from jaxgan.metrics.pyramid import thumbnails
from jaxgan.metrics.sliced_wasserstein import PATCH, patch_descriptors, sliced_wasserstein_distance

MOST_IMAGES = 5_000  # of each set
PATCHES_PER_IMAGE = 64
DIRECTIONS = 512


class PatchScores:
    """Sliced Wasserstein distance of patches by frequency band; recall and diversity of thumbnails."""

    names = ("swd", "recall", "diversity")

    def __init__(self, source: Source, *, samples: int, neighbours: int, seed: int):
        """Take the statistics of the reference: as many images as samples, or as there are."""
        reference = draw(source, min(samples, MOST_IMAGES), seed).images
        self._neighbours, self._count, self._seed = neighbours, len(reference), seed
        self._patches = patch_descriptors(reference, patches_per_image=PATCHES_PER_IMAGE, seed=seed)
        self._real = thumbnails(reference.astype(np.float32))
        self._radii = neighbour_radii(self._real, neighbours)
        coarsest = min(self._patches)
        self._patch_name = f"patches-{PATCH}x{PATCH}"
        self._thumbnail_name = f"thumbnail-{coarsest}px"
        self.manifest: dict[str, Any] = {
            "features": [self._patch_name, self._thumbnail_name],
            "data": f"{source.spec.name}/{source.spec.split}",
            "reference": identity(source),
            "reference_images": self._count,
            "reference_seed": seed,
            "samples": self._count,
            "patches_per_image": PATCHES_PER_IMAGE,
            "directions": DIRECTIONS,
            "neighbours": neighbours,
        }

    def __call__(self, images: np.ndarray, asked: np.ndarray | None) -> dict[str, float]:  # noqa: ARG002
        """Scores of uint8 images, of which as many are looked at as there are reference images."""
        images = images[: self._count]
        # other places than the reference's, so that a copy of it has the distance of a fresh draw
        patches = patch_descriptors(images, patches_per_image=PATCHES_PER_IMAGE, seed=self._seed + 1)
        distances = {
            size: sliced_wasserstein_distance(real, patches[size], directions=DIRECTIONS, seed=self._seed)
            for size, real in self._patches.items()
        }
        fake = thumbnails(images.astype(np.float32))
        overlap = manifold_scores(self._real, fake, neighbours=self._neighbours, real_radii=self._radii)
        return {
            f"swd/{self._patch_name}": float(np.mean(list(distances.values()))),
            **{f"swd/{self._patch_name}-{size}px": value for size, value in distances.items()},
            f"recall/{self._thumbnail_name}": overlap.recall,
            f"diversity/{self._thumbnail_name}": diversity(fake, self._real),
        }

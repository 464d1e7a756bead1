"""Sliced Wasserstein distance between patches of images, one frequency band at a time (Karras et al. 2018).

It requires neither labels nor a trained network. Descriptors are small patches of the levels of the Laplacian pyramid;
the distance is the mean over random directions of the distance in one dimension. Patches of clips also extend over
frames.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float, UInt8

from jaxgan.metrics.pyramid import laplacian_pyramid

PATCH = 7  # pixels
PATCH_FRAMES = 4  # of a clip
IMAGES_AT_A_TIME = 64  # images or frames whose pyramids are in memory
DIRECTIONS_AT_A_TIME = 32


class PatchDescriptors:
    """Random 7x7 patches (for clips 4x7x7) of all levels of the Laplacian pyramids of images that are added in parts.

    Only the patches are kept. They do not depend on how the images are divided into parts.
    """

    def __init__(self, *, patches_per_image: int = 128, seed: int = 0):
        """`seed` determines the patches."""
        self._each, self._random = patches_per_image, np.random.default_rng(seed)
        self._waiting: list[np.ndarray] = []  # images that do not yet fill a block
        self._levels: dict[int, list[np.ndarray]] = {}

    def add(self, images: UInt8[np.ndarray, "n *t h w c"]) -> None:
        """Add patches of images or clips. Raises ValueError if they are smaller or shorter than a patch."""
        if min(images.shape[-3:-1]) < PATCH:
            raise ValueError(f"got images of {images.shape[-3:-1]}, expected at least {PATCH} pixels wide and high")
        if images.ndim == 5 and images.shape[1] < PATCH_FRAMES:
            raise ValueError(f"got clips of {images.shape[1]} frames, expected at least {PATCH_FRAMES}")
        images = np.concatenate([*self._waiting, images])
        together = max(1, IMAGES_AT_A_TIME // math.prod(images.shape[1:-3]))
        whole = len(images) - len(images) % together
        for start in range(0, whole, together):
            self._take(images[start : start + together])
        self._waiting = [images[whole:].copy()]

    def descriptors(self) -> dict[int, Float[np.ndarray, "p d"]]:
        """Descriptors `[n * patches_per_image, (4 *) 7 * 7 * c]`, float32, by the level's size in pixels.

        Every channel is shifted and scaled to mean 0 and variance 1 over the set (Karras et al. 2018, section 5
        and appendix). The patches are removed from this object.
        """
        for images in self._waiting:
            if len(images):
                self._take(images)
        levels, self._waiting, self._levels = self._levels, [], {}
        return {size: _normalised(np.concatenate(levels.pop(size))) for size in list(levels)}

    def _take(self, images: np.ndarray) -> None:
        for level in laplacian_pyramid(images.astype(np.float32)):
            patches = _random_patches(level, self._each, self._random)
            self._levels.setdefault(min(level.shape[-3:-1]), []).append(patches)


def patch_descriptors(
    images: UInt8[np.ndarray, "n *t h w c"], *, patches_per_image: int = 128, seed: int = 0
) -> dict[int, Float[np.ndarray, "p d"]]:
    """The `PatchDescriptors` of an array of images or clips. Raises ValueError as `PatchDescriptors.add`."""
    patches = PatchDescriptors(patches_per_image=patches_per_image, seed=seed)
    patches.add(images)
    return patches.descriptors()


def sliced_wasserstein_distance(
    first: Float[np.ndarray, "p d"], second: Float[np.ndarray, "q e"], *, directions: int = 512, seed: int = 0
) -> float:
    """Mean over random unit directions of the 1-Wasserstein distance of the projections, times 1000.

    In one dimension, between sets of equal size, it is the mean distance of the sorted values (Rabin et al. 2011; the
    factor is that of Karras et al. 2018). It is deterministic for a given seed. Raises ValueError for empty sets and
    for sets of different shapes.
    """
    if first.shape != second.shape or not len(first):
        got = f"got descriptors of shapes {first.shape} and {second.shape}"
        raise ValueError(f"{got}, expected two sets of equal shape that are not empty")
    random = np.random.default_rng(seed)
    total = 0.0
    for start in range(0, directions, DIRECTIONS_AT_A_TIME):
        shape = (min(DIRECTIONS_AT_A_TIME, directions - start), first.shape[1])
        direction = random.standard_normal(shape, dtype=np.float32)
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        projections = [np.sort(direction @ points.T, axis=1) for points in (first, second)]
        total += float(np.abs(projections[0] - projections[1]).mean(axis=1, dtype=np.float64).sum())
    return 1000.0 * total / directions


def _random_patches(level: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    window = (PATCH, PATCH) if level.ndim == 4 else (PATCH_FRAMES, PATCH, PATCH)
    axes = tuple(range(1, level.ndim - 1))
    windows = np.lib.stride_tricks.sliding_window_view(level, window, axis=axes)
    images = np.repeat(np.arange(len(level)), count)
    places = [random.integers(0, windows.shape[axis], len(images)) for axis in axes]
    return windows[images, *places]  # [p, c, 7, 7] or [p, c, 4, 7, 7]


def _normalised(patches: np.ndarray) -> np.ndarray:
    axes = (0, *range(2, patches.ndim))
    mean = patches.mean(axis=axes, keepdims=True, dtype=np.float64).astype(np.float32)
    deviation = patches.std(axis=axes, keepdims=True, dtype=np.float64).astype(np.float32)
    patches -= mean
    patches /= np.where(deviation > 1e-6, deviation, 1.0)  # a channel that never changes stays 0
    return patches.reshape(len(patches), -1)

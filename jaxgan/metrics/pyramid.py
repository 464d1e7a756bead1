"""Laplacian pyramid of images, or of each frame of clips: one frequency band per level (Burt and Adelson 1983)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

BINOMIAL = np.array([1, 4, 6, 4, 1], np.float32) / 16
SMALLEST = 16  # pixels: smallest shorter side of a level


def laplacian_pyramid(images: Float[np.ndarray, "n *t h w c"]) -> list[Float[np.ndarray, "n *t _ _ c"]]:
    """Levels from fine to coarse: the details lost by each halving of the resolution, then the remaining image.

    Images are halved while their shorter side stays at 16 pixels or more, as in Karras et al. 2018, section 5; a
    smaller image is its own single level. Filters are 5-tap binomial, borders mirrored.
    """
    levels = []
    rest = images.astype(np.float32).reshape(-1, *images.shape[-3:])
    while min(rest.shape[1:3]) >= 2 * SMALLEST:
        smaller = _blur(rest)[:, ::2, ::2]
        levels.append(rest - _upsample(smaller, rest.shape))
        rest = smaller
    return [level.reshape(*images.shape[:-3], *level.shape[1:]) for level in (*levels, rest)]


def coarsest(images: Float[np.ndarray, "n *t h w c"]) -> Float[np.ndarray, "n *t _ _ c"]:
    """The last level of the pyramid: its shorter side has 16 to 31 pixels."""
    rest = images.astype(np.float32).reshape(-1, *images.shape[-3:])
    while min(rest.shape[1:3]) >= 2 * SMALLEST:
        rest = _blur(rest)[:, ::2, ::2]
    return rest.reshape(*images.shape[:-3], *rest.shape[1:])


def thumbnails(images: Float[np.ndarray, "n *t h w c"]) -> Float[np.ndarray, "n d"]:
    """The coarsest level of each image's pyramid, flattened; for clips, that of all frames.

    It describes the whole image at any resolution, without a trained network. Recall computed on it detects missing
    modes. Recall on patches does not, since the patches of a few images already cover those of all.
    """
    return coarsest(images).reshape(len(images), -1)


def _upsample(images: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    spread = np.zeros(shape, np.float32)
    spread[:, ::2, ::2] = 4 * images  # 4: three of four pixels are zeros
    return _blur(spread)


def _blur(images: np.ndarray) -> np.ndarray:
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="reflect")
    height, width = images.shape[1:3]
    rows = sum(weight * padded[:, i : i + height] for i, weight in enumerate(BINOMIAL))
    return sum(weight * rows[:, :, i : i + width] for i, weight in enumerate(BINOMIAL))

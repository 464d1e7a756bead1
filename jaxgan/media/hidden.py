"""Replaces the colours of fully transparent pixels, which a network would otherwise smear into visible outlines."""

from __future__ import annotations

import numpy as np

ROWS = 512  # processed at once, which keeps temporary arrays small; must be even


def spread(pixels: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    """Pixels `[H,W,C]` with visible colours continued to where alpha `[H,W,1]` is 0; visible pixels do not change.

    Each hidden pixel gets the alpha-weighted mean of the visible pixels in the smallest pyramid square that contains
    any (pull and push: Gortler et al. 1996, section 3.4). Linear in the pixels. Returns `pixels` itself if there is no
    alpha, no hidden pixel or no visible pixel.
    """
    if alpha is None or alpha.all() or not alpha.any():
        return pixels
    coarse = _filled(*_halved_in_parts(pixels, alpha))
    filled = pixels.copy()
    for top in range(0, len(pixels), ROWS):
        part = filled[top : top + ROWS]
        under = _doubled(coarse[top // 2 : (top + ROWS) // 2], part.shape)
        if pixels.dtype != np.float32:
            under = np.rint(under, out=under)
        np.copyto(part, under.astype(pixels.dtype), where=alpha[top : top + ROWS] == 0)
    return filled


def _halved_in_parts(pixels: np.ndarray, alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted colours and weights at half the size, each summed over squares of 2 x 2 pixels."""
    levels = []
    for top in range(0, len(pixels), ROWS):
        weights = alpha[top : top + ROWS].astype(np.float32)
        levels.append((_halved(pixels[top : top + ROWS] * weights), _halved(weights)))
    return np.concatenate([each[0] for each in levels]), np.concatenate([each[1] for each in levels])


def _filled(sums: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean colours; pixels without weight take those of the next coarser level."""
    known = weights > 0
    means = sums / np.where(known, weights, 1)
    if known.all():
        return means
    scale = np.float32(1 / weights.max())  # keeps sums of large pictures exact
    coarse = _filled(_halved(sums * scale), _halved(weights * scale))
    return np.where(known, means, _doubled(coarse, means.shape))


def _halved(values: np.ndarray) -> np.ndarray:
    """Sums over squares of 2 x 2 pixels; an odd side is padded with zeros."""
    height, width = values.shape[:2]
    if height % 2 or width % 2:
        values = np.pad(values, ((0, height % 2), (0, width % 2), (0, 0)))
    return values[0::2, 0::2] + values[1::2, 0::2] + values[0::2, 1::2] + values[1::2, 1::2]


def _doubled(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return values.repeat(2, axis=0).repeat(2, axis=1)[: shape[0], : shape[1]]

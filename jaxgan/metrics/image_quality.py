"""Similarity of pictures to their originals: PSNR, SSIM and multi-scale SSIM, one value per picture.

Pictures `[B,H,W,C]` are in [-1, 1], or in [0, data_range] if a range is given. They are scaled to [0, 1] in float64,
since SSIM depends on the position of black.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float64, Real

Images = Real[np.ndarray, "b h w c"]
Scores = Float64[np.ndarray, " b"]
Window = Literal["uniform", "gaussian"]

LUMA = (65.481, 128.553, 24.966)  # BT.601's coefficients for R, G, B in [0, 1]; Y is 16 for black and 235 for white
BLACK, WHITE = 16.0, 255.0  # Y of black, and the peak value for scores of Y
UNIFORM = np.full(7, 1 / 7)
SIGMA, RADIUS = 1.5, 5  # of the Gaussian window, in pixels
GAUSSIAN_WINDOW = 2 * RADIUS + 1  # pixels: its side
C1, C2 = 0.01**2, 0.03**2  # squares of K1 and K2 (Wang et al. 2004, eq. 7 and 9)
SCALES = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])  # exponents from fine to coarse (Wang et al. 2003)
SMALLEST_MS_SSIM = 2 * RADIUS * 2 ** (len(SCALES) - 1) + 1  # pixels: side for which the coarsest scale has one window


def psnr(
    restored: Images, original: Images, *, data_range: float | int | None = None, border: int = 0, luma: bool = False
) -> Scores:
    """Peak signal-to-noise ratio in decibels: 10 log10(range^2 / mean squared error); infinite for equal pictures.

    `border` pixels are left out on every side. With `luma` the error is that of BT.601's Y, from 16 to 235 of 255, as
    reported for super-resolution; otherwise that of all channels. Raises ValueError for pictures of different shapes.
    """
    first, second = _prepared(restored, original, data_range, border, luma)
    error = np.square(first - second).mean(axis=(1, 2, 3))
    with np.errstate(divide="ignore"):
        return -10.0 * np.log10(error)


def ssim(
    restored: Images,
    original: Images,
    *,
    data_range: float | int | None = None,
    border: int = 0,
    luma: bool = False,
    window: Window = "uniform",
    sample_covariance: bool = True,
) -> Scores:
    """Structural similarity, 1 for equal pictures: the mean over channels and over windows inside the picture.

    Wang et al. 2004, eq. 13. The defaults are scikit-image's: 7 by 7 pixels of equal weight, unbiased covariances. The
    paper uses `window="gaussian"` (sigma 1.5, 11 by 11) and `sample_covariance=False`, as do the tables of
    super-resolution, on luma. `border` and `luma` as in `psnr`. Raises ValueError for pictures of different shapes or
    smaller than a window.
    """
    first, second = _prepared(restored, original, data_range, border, luma)
    weights = _weights(window)
    if min(first.shape[1:3]) < len(weights):
        height, width = first.shape[1:3]
        expected = f"expected at least {len(weights)} pixels a side for SSIM"
        raise ValueError(f"got pictures of {height} x {width}, {expected}")
    luminance, structure = _similarities(first, second, weights, sample_covariance)
    return (luminance * structure).mean(axis=(1, 2, 3))


def ms_ssim(restored: Images, original: Images, *, data_range: float | int | None = None) -> Scores:
    """Multi-scale structural similarity (Wang et al. 2003, eq. 7), 1 for equal pictures; the mean over channels.

    Contrast and structure at five scales, each half of the one before, and luminance at the coarsest, with the
    published exponents and the Gaussian window. Negative means count as 0, since these powers of them are undefined.
    Raises ValueError for pictures of different shapes, and for sides below 161 pixels, where the coarsest scale is
    smaller than a window.
    """
    first, second = _prepared(restored, original, data_range, 0, False)
    weights = _weights("gaussian")
    if min(first.shape[1:3]) < SMALLEST_MS_SSIM:
        height, width = first.shape[1:3]
        expected = f"expected at least {SMALLEST_MS_SSIM} pixels a side for MS-SSIM"
        raise ValueError(f"got pictures of {height} x {width}, {expected}")
    product = np.ones((len(first), first.shape[3]))
    for exponent in SCALES[:-1]:
        _, structure = _similarities(first, second, weights, False)
        product *= structure.mean(axis=(1, 2)).clip(min=0.0) ** exponent
        first, second = _halved(first), _halved(second)
    luminance, structure = _similarities(first, second, weights, False)
    product *= (luminance * structure).mean(axis=(1, 2)).clip(min=0.0) ** SCALES[-1]
    return product.mean(axis=1)


def _prepared(
    restored: np.ndarray, original: np.ndarray, data_range: float | int | None, border: int, luma: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Both sets scaled to [0, 1], without their borders, and converted to Y with `luma`."""
    if restored.shape != original.shape:
        raise ValueError(f"got pictures of shapes {restored.shape} and {original.shape}, expected equal shapes")
    if luma and original.shape[-1] != 3:
        raise ValueError(f"got {original.shape[-1]} channels, expected 3 for luma")
    if border < 0 or 2 * border >= min(original.shape[1:3]):
        size = f"{original.shape[1]} x {original.shape[2]}"
        raise ValueError(f"border: got {border}, expected 0 or more and less than half of {size} pixels")
    first, second = (_share(images, data_range, border, luma) for images in (restored, original))
    return first, second


def _share(images: np.ndarray, data_range: float | int | None, border: int, luma: bool) -> np.ndarray:
    height, width = images.shape[1:3]
    images = images[:, border : height - border, border : width - border]
    if data_range is None:
        if not np.issubdtype(images.dtype, np.floating):
            raise ValueError(f"data_range is missing: got {images.dtype}, expected floats in [-1, 1] without it")
        images = (images.astype(np.float64) + 1) / 2
    else:
        images = images.astype(np.float64) / data_range
    return (images @ np.array(LUMA)[:, None] + BLACK) / WHITE if luma else images


def _weights(window: Window) -> np.ndarray:
    """The window's weights along one axis; both windows are separable."""
    if window == "uniform":
        return UNIFORM
    weights = np.exp(-0.5 * np.square(np.arange(-RADIUS, RADIUS + 1) / SIGMA))
    return weights / weights.sum()


def _similarities(
    first: np.ndarray, second: np.ndarray, weights: np.ndarray, sample_covariance: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Luminance similarity, and contrast-structure similarity, at each window inside the picture."""
    count = len(weights) ** 2
    unbiased = count / (count - 1) if sample_covariance else 1.0
    means = _filtered(first, weights), _filtered(second, weights)
    product = means[0] * means[1]
    squares = np.square(means[0]) + np.square(means[1])
    covariance = unbiased * (_filtered(first * second, weights) - product)
    variances = unbiased * (_filtered(np.square(first) + np.square(second), weights) - squares)
    return (2 * product + C1) / (squares + C1), (2 * covariance + C2) / (variances + C2)


def _filtered(images: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The weighted mean of each window inside the picture, one axis after the other, as shifted sums."""
    height, width = (size - len(weights) + 1 for size in images.shape[1:3])
    rows = weights[0] * images[:, :height]
    for start, weight in enumerate(weights[1:], start=1):
        rows += weight * images[:, start : start + height]
    means = weights[0] * rows[:, :, :width]
    for start, weight in enumerate(weights[1:], start=1):
        means += weight * rows[:, :, start : start + width]
    return means


def _halved(images: np.ndarray) -> np.ndarray:
    """Mean of 2 by 2 pixels; on odd sides the last pixel is repeated, as in the authors' code."""
    b, height, width, c = images.shape
    images = np.pad(images, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return images.reshape(b, -(-height // 2), 2, -(-width // 2), 2, c).mean(axis=(2, 4))

"""Restoration without training: baselines for the scores of a network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from jaxgan.augment.clip_degradations import MappedNoise
from jaxgan.augment.degradations import GaussianNoise, Poisson
from jaxgan.game import Degradation

INPUT = "input"  # the baseline that returns the condition unchanged
LAPLACIANS = 6.0  # standard deviation of white noise of deviation 1 after both Laplacians
MEDIAN = 0.6745  # median of the absolute value of a standard normal variable


class Baseline(NamedTuple):
    """A named method that maps a condition, float32 `[h,w,C']` in [-1, 1], to an image `[sh,sw,C]`."""

    name: str
    restore: Callable[[np.ndarray], np.ndarray]


def find_baseline(degradation: Degradation | None) -> Baseline:
    """Return the baseline for a degradation.

    Smaller conditions are enlarged by bicubic interpolation, masked ones are filled by scikit-image's biharmonic
    inpainting (Damelin and Hoang 2018), and noisy ones are denoised by its non-local means (Buades et al. 2005), with
    the known noise strength or an estimate of it. All other conditions, and those stored in a data set (None), are
    returned unchanged.
    """
    if degradation is None:
        return Baseline(INPUT, lambda condition: condition)
    if isinstance(degradation, MappedNoise):
        name, restore = find_baseline(degradation.unmapped)
        return Baseline(name, lambda condition: restore(condition[..., :-1]))
    if degradation.masks:
        return Baseline("biharmonic", _biharmonic)
    if degradation.scale > 1:
        return Baseline("bicubic", lambda condition: _bicubic(condition, degradation.scale))
    if isinstance(degradation, GaussianNoise) and not isinstance(degradation.strength, tuple):
        sigma = degradation.strength / 127.5
        return Baseline("nlm", lambda condition: _non_local_means(condition, sigma))
    if isinstance(degradation, GaussianNoise | Poisson):
        return Baseline("nlm", lambda condition: _non_local_means(condition, _noise_of(condition)))
    return Baseline(INPUT, lambda condition: condition)


def _bicubic(condition: np.ndarray, scale: int) -> np.ndarray:
    size = (condition.shape[1] * scale, condition.shape[0] * scale)
    channels = [Image.fromarray(channel) for channel in np.moveaxis(condition, 2, 0)]
    return np.stack([np.asarray(channel.resize(size, Image.Resampling.BICUBIC)) for channel in channels], axis=2)


def _biharmonic(condition: np.ndarray) -> np.ndarray:
    from skimage.restoration import inpaint_biharmonic

    known, mask = condition[..., :-1], condition[..., -1] > 0.5
    return inpaint_biharmonic(known, mask, channel_axis=-1)


def _non_local_means(condition: np.ndarray, sigma: float) -> np.ndarray:
    """Denoise, given the noise's standard deviation, with the parameters of scikit-image's example."""
    from skimage.restoration import denoise_nl_means

    if sigma == 0.0:
        return condition
    options: dict[str, Any] = {"patch_size": 5, "patch_distance": 6, "channel_axis": -1, "fast_mode": True}
    restored = denoise_nl_means(condition, h=0.6 * sigma, sigma=sigma, **options)
    return restored.reshape(condition.shape)  # denoise_nl_means drops a channel axis of length 1


def _noise_of(condition: np.ndarray) -> float:
    """Estimate the standard deviation of the noise in an image `[h,w,C]`, h and w at least 3.

    Uses the difference of two Laplacians (Immerkaer 1996), but its median instead of its mean, since edges and textures
    hardly change the median.
    """
    across = condition[:, :-2] - 2 * condition[:, 1:-1] + condition[:, 2:]
    both = across[:-2] - 2 * across[1:-1] + across[2:]
    return float(np.median(np.abs(both)) / (LAPLACIANS * MEDIAN))

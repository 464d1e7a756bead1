"""Restoration that needs no training, to stand beside every score of a network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from jaxgan.augment.clip_degradations import MappedNoise
from jaxgan.augment.degradations import GaussianNoise, Poisson
from jaxgan.game import Degradation

INPUT = "input"  # the name of doing nothing
LAPLACIANS = 6.0  # deviation that white noise of deviation 1 has after both
MEDIAN = 0.6745  # of the absolute value of a standard normal number


class Baseline(NamedTuple):
    """A method by name: a condition float32 `[h,w,C']` in [-1, 1] to an image `[sh,sw,C]`."""

    name: str
    restore: Callable[[np.ndarray], np.ndarray]


def find_baseline(degradation: Degradation | None) -> Baseline:
    """What the degradation's conditions are restored with where there is no network.

    Bicubic interpolation of smaller conditions, scikit-image's biharmonic inpainting of masked ones (Damelin and
    Hoang 2018), its non-local means of those with noise (Buades et al. 2005), of a strength that is known or else
    estimated. Others stand as they are, as do a data set's own (None).
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
    """Of noise with the deviation sigma, and with the parameters that scikit-image's example recommends for it."""
    from skimage.restoration import denoise_nl_means

    if sigma == 0.0:
        return condition
    options: dict[str, Any] = {"patch_size": 5, "patch_distance": 6, "channel_axis": -1, "fast_mode": True}
    restored = denoise_nl_means(condition, h=0.6 * sigma, sigma=sigma, **options)
    return restored.reshape(condition.shape)  # which leaves out an axis of one channel


def _noise_of(condition: np.ndarray) -> float:
    """The deviation of the noise of an image `[h,w,C]`, h and w at least 3, estimated.

    By the difference of two Laplacians (Immerkaer 1996), whose median, unlike its mean, edges and textures hardly move.
    """
    across = condition[:, :-2] - 2 * condition[:, 1:-1] + condition[:, 2:]
    both = across[:-2] - 2 * across[1:-1] + across[2:]
    return float(np.median(np.abs(both)) / (LAPLACIANS * MEDIAN))

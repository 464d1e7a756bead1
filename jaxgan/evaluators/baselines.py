"""Restoration that needs no training, to stand beside every score of a network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from jaxgan.game import Degradation


class Baseline(NamedTuple):
    """A method by name: a condition float32 `[h,w,C']` in [-1, 1] to an image `[sh,sw,C]`."""

    name: str
    restore: Callable[[np.ndarray], np.ndarray]


def find_baseline(degradation: Degradation) -> Baseline | None:
    """What the degradation's conditions are restored with where there is no network; None: nothing is known.

    Bicubic interpolation of smaller conditions, scikit-image's biharmonic inpainting of masked ones (Damelin and
    Hoang 2018), its non-local means of those with Gaussian noise of a known strength (Buades et al. 2005).
    """
    if degradation.masks:
        return Baseline("biharmonic", _biharmonic)
    if degradation.scale > 1:
        return Baseline("bicubic", lambda condition: _bicubic(condition, degradation.scale))
    strength = getattr(degradation, "strength", None)
    if isinstance(strength, int | float):
        return Baseline("nlm", lambda condition: _non_local_means(condition, float(strength)))
    return None


def _bicubic(condition: np.ndarray, scale: int) -> np.ndarray:
    size = (condition.shape[1] * scale, condition.shape[0] * scale)
    channels = [Image.fromarray(channel) for channel in np.moveaxis(condition, 2, 0)]
    return np.stack([np.asarray(channel.resize(size, Image.Resampling.BICUBIC)) for channel in channels], axis=2)


def _biharmonic(condition: np.ndarray) -> np.ndarray:
    from skimage.restoration import inpaint_biharmonic

    known, mask = condition[..., :-1], condition[..., -1] > 0.5
    return inpaint_biharmonic(known, mask, channel_axis=-1)


def _non_local_means(condition: np.ndarray, strength: float) -> np.ndarray:
    """With the strength of the noise known, and the parameters that scikit-image's example recommends for it."""
    from skimage.restoration import denoise_nl_means

    sigma = strength / 127.5
    options: dict[str, Any] = {"patch_size": 5, "patch_distance": 6, "channel_axis": -1, "fast_mode": True}
    return denoise_nl_means(condition, h=0.6 * sigma, sigma=sigma, **options)

"""Unsharp masking with the constants of Real-ESRGAN's code, which sharpens its targets (Wang et al. 2021)."""

from __future__ import annotations

from functools import lru_cache

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Images = Float[Array, "b h w c"]

SIZE = 51  # pixels of the Gaussian filter
SIGMA = 0.3 * ((SIZE - 1) * 0.5 - 1) + 0.8  # its standard deviation, 8 pixels: OpenCV's default for this size
WEIGHT = 0.5  # of the difference from the blurred image
THRESHOLD = 10.0  # grey levels of 255: smaller differences are noise


def sharpened(images: Images) -> Images:
    """Images in [-1, 1] plus half of their difference from a blurred copy, where it exceeds 10 grey levels.

    The map of these places is blurred too, to avoid seams. Borders are reflected about the outermost pixels.
    """
    difference = images - _blurred(images)
    share = _blurred((jnp.abs(difference) * 127.5 > THRESHOLD).astype(images.dtype))
    return images + share * (jnp.clip(images + WEIGHT * difference, -1.0, 1.0) - images)


def _blurred(images: Images) -> Images:
    rows, columns = (jnp.asarray(_matrix(size), images.dtype) for size in images.shape[1:3])
    images = jnp.einsum("ij,bjwc->biwc", rows, images, precision="highest")
    return jnp.einsum("ij,bhjc->bhic", columns, images, precision="highest")


@lru_cache(maxsize=8)
def _matrix(size: int) -> np.ndarray:
    """The filter as a matrix, for an axis of `size` pixels."""
    reach, pixels, period = SIZE // 2, np.arange(size), max(2 * (size - 1), 1)
    taps = np.exp(-0.5 * np.square(np.arange(-reach, reach + 1) / SIGMA))
    matrix = np.zeros((size, size))
    for tap, weight in zip(range(-reach, reach + 1), taps / taps.sum()):
        read = (pixels + tap) % period
        matrix[pixels, np.minimum(read, period - read)] += weight
    return matrix

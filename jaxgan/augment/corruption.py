"""Random filtering of frequency bands, noise and cutout."""

from __future__ import annotations

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxgan.images.draws import Draw

Images = Float[Array, "b h w c"]

BANDS = 4  # octaves: [0, pi/8], [pi/8, pi/4], [pi/4, pi/2], [pi/2, pi]
POWER = np.array([10.0, 1.0, 1.0, 1.0], np.float32) / 13.0  # of natural images in each band, 1/f on average
# the low-pass filter of the Daubechies wavelet with two vanishing moments (1988), the same as sym2
LOW_PASS = np.array([1 + 3**0.5, 3 + 3**0.5, 3 - 3**0.5, 1 - 3**0.5]) / (4 * 2**0.5)


def filtered(draws: list[Draw], strength: float, images: Images) -> Images:
    """Amplify or attenuate each octave at random, one draw per band, at equal expected power (Karras et al. 2020a)."""
    gains = jnp.ones((images.shape[0], BANDS))
    for band, draw in enumerate(draws):
        one = jnp.ones((images.shape[0], BANDS)).at[:, band].set(jnp.exp2(draw.normal[0] * strength))
        one /= jnp.sqrt(jnp.square(one) @ POWER)[:, None]
        gains *= draw.gated(one, jnp.float32(1.0))
    touched = jnp.stack([draw.active for draw in draws]).any(axis=0)[:, None, None]
    for axis, letters in ((1, "bij,bjwc->biwc"), (2, "bij,bhjc->bhic")):
        size = images.shape[axis]
        matrices = jnp.einsum("bk,kij->bij", gains, jnp.asarray(band_matrices(size)), precision="highest")
        images = jnp.einsum(letters, jnp.where(touched, matrices, jnp.eye(size)), images, precision="highest")
    return images


def noisy(draw: Draw, strength: float, key: Array, images: Images) -> Images:
    """Add white noise whose standard deviation is half-normal."""
    deviation = jnp.abs(draw.normal[0]) * strength
    noise = deviation[:, None, None, None] * jax.random.normal(key, images.shape)
    return draw.gated(images + noise, images)


def cut_out(draw: Draw, strength: float, images: Images) -> Images:
    """Fill a rectangle with grey: `strength` times each side of the image, centred anywhere in it."""
    _, h, w, _ = images.shape
    y, x = draw.uniform[:2]
    inside_rows = jnp.abs((jnp.arange(h) + 0.5) / h - y[:, None]) < 0.5 * strength
    inside_columns = jnp.abs((jnp.arange(w) + 0.5) / w - x[:, None]) < 0.5 * strength
    inside = (inside_rows[:, :, None] & inside_columns[:, None, :])[..., None]
    return draw.gated(jnp.where(inside, 0.0, images), images)


def band_filters() -> np.ndarray:
    """Symmetric filters `[4, 43]`, from the lowest octave to the highest, which add up to the unit impulse."""
    low = np.convolve(LOW_PASS, LOW_PASS[::-1]) / 2
    high = low * (-1.0) ** (np.arange(len(low)) - len(low) // 2)
    bands = np.eye(BANDS, 1)
    for band in range(1, BANDS):  # below the new octave: the previous bank at half the rate
        spread = np.zeros((BANDS, 2 * bands.shape[1] - 1))
        spread[:, ::2] = bands
        bands = np.stack([np.convolve(row, low) for row in spread])
        centre = bands.shape[1] // 2
        bands[band, centre - len(high) // 2 : centre + len(high) // 2 + 1] += high
    return bands


@lru_cache(maxsize=8)
def band_matrices(size: int) -> np.ndarray:
    """The filters as float32 matrices `[4, size, size]` on rows of `size` pixels, reflected at the border."""
    bands = band_filters()
    reach, pixels, period = bands.shape[1] // 2, np.arange(size), max(2 * (size - 1), 1)
    matrices = np.zeros((BANDS, size, size))
    for tap in range(-reach, reach + 1):
        read = (pixels + tap) % period
        matrices[:, pixels, np.minimum(read, period - read)] += bands[:, reach + tap, None]
    return matrices.astype(np.float32)

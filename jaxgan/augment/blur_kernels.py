"""Random blur kernels, one per image, and convolution with them (Wang et al. 2021, "Real-ESRGAN", section 3.2).

With q the squared Mahalanobis distance from the centre, a Gaussian is exp(-q/2), a generalised Gaussian exp(-q^beta/2)
and a plateau 1/(1 + q^beta). A sinc is the impulse response of an ideal low-pass filter, which causes ringing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

Images = Float[Array, "b h w c"]
Kernels = Float[Array, "b k k"]
Numbers = Float[Array, " b"]

SIZE = 21  # of every kernel; smaller ones are padded with zeros
RADII = (3, 10)  # the smallest and the largest
SHARES = {  # from the paper: a tenth sinc, the other kinds by these shares of the rest
    "isotropic": 0.9 * 0.45,
    "anisotropic": 0.9 * 0.25,
    "generalized": 0.9 * 0.12,
    "generalized_anisotropic": 0.9 * 0.03,
    "plateau": 0.9 * 0.12,
    "plateau_anisotropic": 0.9 * 0.03,
    "sinc": 0.1,
}
GENERALIZED, PLATEAU = (0.5, 4.0), (1.0, 2.0)  # ranges of beta


def random_kernels(key: Array, batch: int, sigma: tuple[float, float], shares: Mapping[str, float] = SHARES) -> Kernels:
    """Kernels `[batch,21,21]` that sum to 1, of random kinds drawn by `shares`, which need not sum to 1.

    `sigma` is the range of the standard deviation in pixels; anisotropic kinds draw one for each axis. Radius, angle
    and beta are random too; beta is below and above 1 equally often.
    """
    kind_key, radius_key, sigma_key, angle_key, beta_key, sinc_key = jax.random.split(key, 6)
    kinds = list(shares)
    log_shares = jnp.log(jnp.array([shares[kind] for kind in kinds], jnp.float32))
    kind = jax.random.categorical(kind_key, log_shares, shape=(batch,))

    def is_of(*names: str) -> Array:
        return jnp.isin(kind, jnp.array([index for index, each in enumerate(kinds) if each in names], jnp.int32))

    radius = jax.random.randint(radius_key, (batch,), RADII[0], RADII[1] + 1)
    x, y = jax.random.uniform(sigma_key, (2, batch), minval=sigma[0], maxval=sigma[1])
    turned = is_of("anisotropic", "generalized_anisotropic", "plateau_anisotropic")
    angle = jax.random.uniform(angle_key, (batch,), minval=-math.pi, maxval=math.pi)
    distance = squared_distance(x, jnp.where(turned, y, x), angle)
    side, place = jax.random.uniform(beta_key, (2, batch))
    generalized, plateau = (
        jnp.where(side < 0.5, low + place * (1.0 - low), 1.0 + place * (high - 1.0))[:, None, None]
        for low, high in (GENERALIZED, PLATEAU)
    )
    of_kind = [
        (is_of("generalized", "generalized_anisotropic"), jnp.exp(-0.5 * distance**generalized)),
        (is_of("plateau", "plateau_anisotropic"), 1.0 / (1.0 + distance**plateau)),
        (is_of("sinc"), sinc(random_cutoff(sinc_key, radius))),
    ]
    conditions, kernels = [chosen[:, None, None] for chosen, _ in of_kind], [kernel for _, kernel in of_kind]
    return normalized(jnp.select(conditions, kernels, jnp.exp(-0.5 * distance)), radius)


def random_sincs(key: Array, batch: int) -> Kernels:
    """Sinc kernels `[batch,21,21]` as in the final filter of Real-ESRGAN."""
    radius_key, cutoff_key = jax.random.split(key)
    radius = jax.random.randint(radius_key, (batch,), RADII[0], RADII[1] + 1)
    cutoff = jax.random.uniform(cutoff_key, (batch,), minval=math.pi / 3, maxval=math.pi)
    return normalized(sinc(cutoff), radius)


def random_cutoff(key: Array, radius: Int[Array, " b"]) -> Numbers:
    """Cutoff frequencies in radians per pixel: pi/3 to pi for kernels under 13 pixels, else pi/5 to pi."""
    lowest = jnp.where(radius < 6, math.pi / 3, math.pi / 5)
    return lowest + jax.random.uniform(key, radius.shape) * (math.pi - lowest)


def squared_distance(x: Numbers, y: Numbers, angle: Numbers) -> Kernels:
    """The squared Mahalanobis distance from the centre, for standard deviations x and y on axes rotated by `angle`."""
    down, across = _places()
    cos, sin = jnp.cos(angle)[:, None, None], jnp.sin(angle)[:, None, None]
    along, beside = cos * across + sin * down, cos * down - sin * across
    return jnp.square(along / x[:, None, None]) + jnp.square(beside / y[:, None, None])


def sinc(cutoff: Numbers) -> Kernels:
    """c J1(c r) / (2 pi r): the impulse response of a filter that passes all frequencies within a circle of radius c.

    J1 is computed from Bessel's integral by the midpoint rule, which is exact up to rounding here: its error is of the
    order of J95(c r), and c r is at most 45.
    """
    down, across = _places()
    r = jnp.sqrt(jnp.square(down) + jnp.square(across))
    argument = cutoff[:, None, None] * r
    angles = (jnp.arange(48) + 0.5) * (math.pi / 48)
    bessel = jnp.cos(angles - argument[..., None] * jnp.sin(angles)).mean(axis=-1)
    centre = jnp.square(cutoff)[:, None, None] / (4 * math.pi)
    return jnp.where(r > 0, cutoff[:, None, None] * bessel / (2 * math.pi * jnp.maximum(r, 1.0)), centre)


def normalized(kernels: Kernels, radius: Int[Array, " b"]) -> Kernels:
    """Crop kernels to squares of the given radii, and divide them by their sums."""
    down, across = _places()
    inside = jnp.maximum(jnp.abs(down), jnp.abs(across)) <= radius[:, None, None]
    cut = jnp.where(inside, kernels, 0.0)
    return cut / cut.sum(axis=(1, 2), keepdims=True)


def convolve(image: Images, kernels: Kernels) -> Images:
    """Convolve each image with its own kernel, of odd size; beyond the border the edge pixels are repeated.

    Uses Fourier transforms: at 21 by 21 they cost less than sums of shifted images or a grouped convolution.
    """
    height, width = image.shape[1:3]
    reach = kernels.shape[1] - 1
    half = (reach // 2, reach // 2)
    padded = jnp.pad(image, ((0, 0), half, half, (0, 0)), mode="edge")
    lengths = (_fast_length(height + reach), _fast_length(width + reach))
    spectrum = jnp.fft.rfft2(padded, lengths, axes=(1, 2))
    response = jnp.fft.rfft2(kernels, lengths, axes=(1, 2))[..., None]
    # the circular convolution wraps around into the first rows and columns, which are cropped
    return jnp.fft.irfft2(spectrum * response, lengths, axes=(1, 2))[:, reach : reach + height, reach : reach + width]


def _places() -> tuple[Array, Array]:
    """Rows and columns from the centre, `[21,1]` and `[1,21]`."""
    steps = jnp.arange(SIZE, dtype=jnp.float32) - SIZE // 2
    return steps[:, None], steps[None, :]


def _fast_length(least: int) -> int:
    """The next even number without prime factors above 5, for which Fourier transforms are fast."""
    length = least + least % 2
    while True:
        rest = length
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length
        length += 2

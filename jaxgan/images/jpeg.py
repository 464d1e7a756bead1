"""Differentiable JPEG: images as they look after being saved and read (ITU-T T.81, with libjpeg's tables).

Every step except rounding is linear, and rounding passes gradients through unchanged. Shin and Song 2017
("JPEG-resistant adversarial images") replace rounding by a cubic with a nonzero derivative, which changes the values:
here the values are exact JPEG, and only the derivative is an approximation.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxgan.errors import UserError
from jaxgan.images.colour import LUMA

Images = Float[Array, "b h w c"]

# T.81, annex K.1 and K.2: how coarse the coefficients become at quality 50, by vertical and horizontal frequency
LUMINANCE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
CHROMINANCE = np.full((8, 8), 99)
CHROMINANCE[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]

_LUMA = np.array(LUMA)
TO_YCC = np.stack(  # JFIF 1.02
    [_LUMA, (np.array([0.0, 0.0, 1.0]) - _LUMA) / 1.772, (np.array([1.0, 0.0, 0.0]) - _LUMA) / 1.402]
).astype(np.float32)
TO_RGB = np.linalg.inv(TO_YCC.astype(np.float64)).astype(np.float32)


def jpeg(image: Images, quality: int | Int[Array, " b"], *, subsampling: bool = True) -> Images:
    """Grey or RGB images in [-1, 1] after JPEG compression with a quality of 1 to 100, one for all or one an image.

    With `subsampling` colour has half the resolution (4:2:0), the default of libjpeg and Pillow. Blocks that extend
    beyond the border are filled with the outermost pixels. UserError unless there are 1 or 3 channels.
    """
    batch, height, width, channels = image.shape
    if channels not in (1, 3):
        raise UserError(f"JPEG: got {channels} channels, expected 1 (grey) or 3 (RGB)")
    tables = quality_tables(jnp.broadcast_to(jnp.asarray(quality, jnp.int32), (batch,)))
    levels = round_straight(jnp.clip((image + 1.0) * 127.5, 0.0, 255.0)) - 128.0
    unit = 16 if channels == 3 and subsampling else 8
    padding = [(0, 0), (0, -height % unit), (0, -width % unit), (0, 0)]
    planes = jnp.moveaxis(jnp.pad(levels, padding, mode="edge"), 3, 0)
    if channels == 1:
        decoded = _coded(planes, tables[0])
    else:
        y, colour = jnp.split(round_straight(_mixed(TO_YCC, planes)), [1])
        y = _coded(y, tables[0])
        colour = _doubled(_coded(_halved(colour), tables[1])) if subsampling else _coded(colour, tables[1])
        decoded = _mixed(TO_RGB, jnp.concatenate([y, colour]))
    decoded = jnp.moveaxis(decoded, 0, 3)[:, :height, :width]
    return round_straight(jnp.clip(decoded + 128.0, 0.0, 255.0)) / 127.5 - 1.0


def quality_tables(quality: Int[Array, " b"]) -> Int[Array, "2 b 64"]:
    """The quantization steps of luminance and chrominance by quality, scaled as in libjpeg."""
    quality = jnp.clip(quality, 1, 100)[:, None]
    scale = jnp.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    base = jnp.asarray(np.stack([LUMINANCE, CHROMINANCE]).reshape(2, 1, 64))
    return jnp.clip((base * scale + 50) // 100, 1, 255)


def round_straight(x: Array) -> Array:
    """The nearest whole numbers, halves rounded away from zero as in libjpeg, with the derivative of x."""
    return x + jax.lax.stop_gradient(jnp.sign(x) * jnp.floor(jnp.abs(x) + 0.5) - x)


def cosine_transform() -> np.ndarray:
    """`[64,64]` float32, orthonormal: the discrete cosine transform of a flattened 8 by 8 block."""
    frequency, place = np.arange(8)[:, None], np.arange(8) + 0.5
    one = np.cos(frequency * place * (math.pi / 8)) / 2
    one[0] /= math.sqrt(2)
    return np.kron(one, one).astype(np.float32)


def _coded(planes: Float[Array, "p b h w"], steps: Int[Array, "b 64"]) -> Float[Array, "p b h w"]:
    """Planes of whole blocks after their coefficients were rounded to multiples of the steps."""
    p, b, h, w = planes.shape
    blocks = planes.reshape(p, b, h // 8, 8, w // 8, 8).transpose(0, 1, 2, 4, 3, 5).reshape(p, b, -1, 64)
    transform, table = jnp.asarray(cosine_transform()), steps[:, None].astype(jnp.float32)
    coefficients = jnp.matmul(blocks, transform.T, precision="highest")
    kept = round_straight(coefficients / table) * table
    decoded = round_straight(jnp.clip(jnp.matmul(kept, transform, precision="highest"), -128.0, 127.0))
    return decoded.reshape(p, b, h // 8, w // 8, 8, 8).transpose(0, 1, 2, 4, 3, 5).reshape(p, b, h, w)


def _mixed(matrix: np.ndarray, planes: Float[Array, "p b h w"]) -> Float[Array, "p b h w"]:
    """Change the colour basis; the terms are written out so that no platform computes them at reduced precision."""
    return jnp.stack([sum(float(each) * plane for each, plane in zip(row, planes)) for row in matrix])


def _halved(planes: Float[Array, "p b h w"]) -> Float[Array, "p b h2 w2"]:
    p, b, h, w = planes.shape
    means = planes.reshape(p, b, h // 2, 2, w // 2, 2).mean(axis=(3, 5))
    return round_straight(means + jnp.where(jnp.arange(w // 2) % 2 == 0, -0.125, 0.125))  # ties go down, then up


def _doubled(planes: Float[Array, "p b h w"]) -> Float[Array, "p b h2 w2"]:
    """Each pixel is three quarters of the nearest and one of the next, on both axes: libjpeg's fancy upsampling."""
    for axis in (2, 3):
        length = planes.shape[axis]
        padded = jnp.pad(planes, [(1, 1) if each == axis else (0, 0) for each in range(4)], mode="edge")
        before = jax.lax.slice_in_dim(padded, 0, length, axis=axis)
        after = jax.lax.slice_in_dim(padded, 2, length + 2, axis=axis)
        pairs = jnp.stack([0.75 * planes + 0.25 * before, 0.75 * planes + 0.25 * after], axis=axis + 1)
        planes = pairs.reshape(*planes.shape[:axis], 2 * length, *planes.shape[axis + 1 :])
    return planes

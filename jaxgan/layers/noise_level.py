"""How strong the white noise of an image is, told from the image."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan.layers.frames import Images

NORMAL_MEDIAN = 0.6745  # of |x|, x of N(0, 1)


def noise_level(image: Images) -> Float[Array, "b *t 1 1 1"]:
    """The standard deviation of white noise: the median of |d| over 0.6745, d the finest diagonal Haar coefficients.

    Of Donoho and Johnstone 1994, section 4.2. Fine texture counts as noise. A last odd row or column does not count;
    images of one row or column have none. One value for each image or frame.
    """
    height, width = (side // 2 * 2 for side in image.shape[-3:-1])
    if not height or not width:
        return jnp.zeros((*image.shape[:-3], 1, 1, 1), image.dtype)
    x = image[..., :height, :width, :]
    detail = x[..., ::2, ::2, :] - x[..., 1::2, ::2, :] - x[..., ::2, 1::2, :] + x[..., 1::2, 1::2, :]
    return jnp.median(jnp.abs(detail) / 2, axis=(-3, -2, -1), keepdims=True) / NORMAL_MEDIAN

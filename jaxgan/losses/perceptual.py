"""Losses on the features of a pretrained network, which is passed in as a function of images.

`features` takes images `[B,H,W,C]` in [-1, 1] and returns maps `[B,h,w,F]` keyed by layer name, such as `conv5_4`
(before the activation) and `relu5_3` (after it): see `jaxgan.models.pretrained.vgg`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxgan.config.domains import Given, NotNegative
from jaxgan.errors import UserError
from jaxgan.losses.adversarial import per_example
from jaxgan.losses.reconstruction import difference

Image = Float[Array, "b h w c"]
Map = Float[Array, "b h2 w2 f"]
Head = Float[Array, "_"] | Float[np.ndarray, "_"]
Features = Callable[[Array], Mapping[str, Array]]

SRGAN = {"relu5_4": 1.0}
"""VGG-19 layers and their weights, for `distance="l2"` (Ledig et al. 2017, section 2.2.1)."""

ESRGAN = {"conv5_4": 1.0}
"""VGG-19 layers and their weights (Wang et al. 2018, section 3.3)."""

REAL_ESRGAN = {"conv1_2": 0.1, "conv2_2": 0.1, "conv3_4": 1.0, "conv4_4": 1.0, "conv5_4": 1.0}
"""VGG-19 layers and their weights (Wang et al. 2021, section 4.1)."""

TINY = 1e-10  # added to lengths, as in the LPIPS authors' code


def perceptual(
    restored: Given[Image],
    target: Given[Image],
    features: Given[Features],
    *,
    layers: Mapping[str, NotNegative] = REAL_ESRGAN,
    distance: Literal["l1", "l2"] = "l1",
) -> Float[Array, " b"]:
    """The sum over `layers` of the weight times the mean absolute (or squared) difference of their maps.

    Johnson et al. 2016, eq. 2. Gradients flow only to the restored images. Raises UserError if `layers` is empty or
    names a layer that `features` does not return.
    """
    if not layers:
        raise UserError("perceptual.perceptual: layers is empty, expected layers by weight")
    measure = jnp.abs if distance == "l1" else jnp.square
    restored_maps, target_maps = _maps(restored, target, features, layers)
    return sum(
        (
            weight * per_example(measure(difference(restored_maps[name], target_maps[name])))
            for name, weight in layers.items()
        ),
        jnp.zeros(len(restored)),
    )


def lpips(
    restored: Given[Image], target: Given[Image], features: Given[Features], heads: Given[Mapping[str, Head]]
) -> Float[Array, " b"]:
    """The learned perceptual distance, LPIPS (Zhang et al. 2018, eq. 1), which is 0 for equal images.

    Maps are scaled to length 1 at each pixel. Squared differences are weighted by `heads` (for each layer name, one
    number per channel, `[F]`), summed over the channels, averaged over the pixels, and summed over the layers.
    Gradients flow only to the restored images. Raises UserError for a layer that `features` does not return.
    """
    restored_maps, target_maps = _maps(restored, target, features, heads)
    distances = (
        (head * jnp.square(_unit_length(restored_maps[name]) - _unit_length(target_maps[name]))).sum(axis=-1)
        for name, head in heads.items()
    )
    return sum((per_example(distance) for distance in distances), jnp.zeros(len(restored)))


def _maps(
    restored: Array, target: Array, features: Features, wanted: Mapping[str, object]
) -> tuple[Mapping[str, Array], Mapping[str, Array]]:
    restored_maps, target_maps = features(restored), jax.lax.stop_gradient(features(jax.lax.stop_gradient(target)))
    for name in wanted:
        if name not in restored_maps:
            raise UserError(f"a perceptual loss wants the layer {name}, the network gives {', '.join(restored_maps)}")
    return restored_maps, target_maps


def _unit_length(maps: Map) -> Map:
    """Scale the channels of each pixel to a vector of length 1; a zero vector stays zero, with a gradient of 0."""
    maps = maps.astype(jnp.float32)
    square = jnp.square(maps).sum(axis=-1, keepdims=True)
    silent = square == 0
    return jnp.where(silent, 0.0, maps / (jnp.sqrt(jnp.where(silent, 1.0, square)) + TINY))

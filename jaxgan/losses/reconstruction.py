"""Content losses: how far a restored image is from its target, one value per image.

Each is a pure function that requests its inputs by the names of its parameters. Images are `[B,H,W,C]` in [-1, 1];
differences are taken in float32.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan.config.domains import Given, Positive
from jaxgan.errors import UserError
from jaxgan.losses.adversarial import per_example

Image = Float[Array, "b h w c"]
Mask = Float[Array, "b h w 1"]


def l1(restored: Given[Image], target: Given[Image]) -> Float[Array, " b"]:
    """The mean absolute difference."""
    return per_example(jnp.abs(difference(restored, target)))


def l2(restored: Given[Image], target: Given[Image]) -> Float[Array, " b"]:
    """The mean squared difference."""
    return per_example(jnp.square(difference(restored, target)))


def masked_l1(restored: Given[Image], target: Given[Image], mask: Given[Mask]) -> Float[Array, " b"]:
    """The mean absolute difference over the pixels of the hole, where the mask is 1; 0 without a hole.

    The sum is divided by the area of the hole, so small holes count as much as large ones. Known pixels have no weight:
    the task restores them before any loss is computed.
    """
    return _over_hole(jnp.abs(difference(restored, target)), mask)


def masked_l2(restored: Given[Image], target: Given[Image], mask: Given[Mask]) -> Float[Array, " b"]:
    """The mean squared difference over the pixels of the hole; see `masked_l1`."""
    return _over_hole(jnp.square(difference(restored, target)), mask)


def charbonnier(restored: Given[Image], target: Given[Image], *, epsilon: Positive = 1e-3) -> Float[Array, " b"]:
    """The mean of sqrt(d^2 + epsilon^2), an l1 that is smooth at 0 (Lai et al. 2017, section 3.2)."""
    return per_example(jnp.sqrt(jnp.square(difference(restored, target)) + epsilon**2))


def total_variation(restored: Given[Image]) -> Float[Array, " b"]:
    """The mean absolute difference of vertical neighbours plus that of horizontal neighbours (Rudin et al. 1992).

    This is the anisotropic form. An axis of one pixel adds nothing.
    """
    image = restored.astype(jnp.float32)
    steps = [jnp.diff(image, axis=axis) for axis in (1, 2) if image.shape[axis] > 1]
    return sum((per_example(jnp.abs(step)) for step in steps), jnp.zeros(len(image)))


def feature_matching(fake_features: Given[Any], real_features: Given[Any]) -> Float[Array, " b"]:
    """The mean absolute difference of a discriminator's features, averaged over its layers.

    Wang et al. 2018 (pix2pixHD), section 3.2. The features are pytrees of maps `[B, ...]`, such as
    `Judgement.features`; gradients flow only to those of the fakes. The paper sums over the layers, so its weight of 10
    corresponds to 10 times the number of layers here. Raises UserError if there are no features.
    """
    if not jax.tree.leaves(fake_features):
        raise UserError("reconstruction.feature_matching: the discriminator shows no features")
    real_features = jax.lax.stop_gradient(real_features)
    return per_example(jax.tree.map(lambda fake, real: jnp.abs(difference(fake, real)), fake_features, real_features))


def difference(first: Float[Array, "b ..."], second: Float[Array, "b ..."]) -> Float[Array, "b ..."]:
    """The difference of two arrays in float32."""
    return first.astype(jnp.float32) - second.astype(jnp.float32)


def _over_hole(loss: Image, mask: Mask) -> Float[Array, " b"]:
    """The mean over the pixels and channels where the mask is 1."""
    mask = mask.astype(jnp.float32)
    area = loss.shape[3] * mask.sum(axis=(1, 2, 3))
    return (mask * loss).sum(axis=(1, 2, 3)) / jnp.maximum(area, 1.0)

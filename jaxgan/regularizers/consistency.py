"""Consistency of the discriminator: equal logits for an image and its augmented version.

Zhang et al. 2020 (CR) and Zhao et al. 2021 (bCR and zCR). Squared differences are averaged over the patches and scales
of the logits. `real_logits` and `fake_logits` are those of `real` and `fake`. Images that share a logit are augmented
with independent draws; all frames of a clip share one draw.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan.config.domains import Given, NotNegativeTraced, Whole
from jaxgan.errors import UserError
from jaxgan.game import CriticLike
from jaxgan.images.geometry import shifted_and_flipped
from jaxgan.layers.frames import alike
from jaxgan.losses.adversarial import per_example

PerExample = Float[Array, " b"]
PerLogit = Float[Array, " n"]


def cr(
    critic: Given[CriticLike],
    real: Given[Any],
    real_logits: Given[Any],
    key: Given[Array],
    *,
    weight: NotNegativeTraced = 10.0,
    shift: Whole = 4,
) -> PerLogit:
    """weight |D(x) - D(T(x))|^2 at the reals (CR, eq. 2); T flips half of them and shifts by up to `shift` pixels.

    Raises UserError for images of several scales.
    """
    return weight * _distance(real_logits, critic(_transformed(key, real, shift)))


def bcr(
    critic: Given[CriticLike],
    real: Given[Any],
    fake: Given[Any],
    real_logits: Given[Any],
    fake_logits: Given[Any],
    key: Given[Array],
    *,
    fake_critic: Given[CriticLike | None] = None,
    weight: NotNegativeTraced = 10.0,
    fake_weight: NotNegativeTraced = 10.0,
    shift: Whole = 4,
) -> PerLogit:
    """`cr` for the reals plus, with `fake_weight`, the fakes (balanced consistency, Zhao et al. 2021, algorithm 1).

    `fake_critic` is the critic that gave `fake_logits`; None means `critic`.
    """
    real_key, fake_key = jax.random.split(key)
    of_reals = cr(critic, real, real_logits, real_key, weight=weight, shift=shift)
    return of_reals + cr(fake_critic or critic, fake, fake_logits, fake_key, weight=fake_weight, shift=shift)


def zcr(
    fake_critic: Given[CriticLike],
    generate: Given[Any],
    latent: Given[Float[Array, "b z"]],
    fake_logits: Given[Any],
    key: Given[Array],
    *,
    weight: NotNegativeTraced = 5.0,
    sigma: NotNegativeTraced = 0.03,
) -> PerLogit:
    """weight |D(G(z)) - D(G(z + sigma n))|^2 for the discriminator (Zhao et al. 2021, algorithm 2)."""
    return weight * _distance(fake_logits, fake_critic(generate(_perturbed(key, latent, sigma))))


def zcr_generator(
    generate: Given[Any],
    latent: Given[Float[Array, "b z"]],
    fake: Given[Any],
    key: Given[Array],
    *,
    weight: NotNegativeTraced = 0.5,
    sigma: NotNegativeTraced = 0.03,
) -> PerExample:
    """-weight |G(z) - G(z + sigma n)|^2 for the generator, the mean over pixels (Zhao et al. 2021, algorithm 2)."""
    return -weight * _distance(fake, generate(_perturbed(key, latent, sigma)))


def _distance(a: Any, b: Any) -> PerLogit:
    """The mean squared difference, one value per row."""
    return per_example(jax.tree.map(lambda x, y: jnp.square(x.astype(jnp.float32) - y.astype(jnp.float32)), a, b))


def _perturbed(key: Array, latent: Array, sigma: Any) -> Array:
    return latent + sigma * jax.random.normal(key, latent.shape, latent.dtype)


def _transformed(key: Array, image: Any, shift: int) -> Array:
    if isinstance(image, tuple):
        raise UserError("consistency: images of several scales cannot be shifted together; expected one image")
    return alike(lambda image: shifted_and_flipped(key, image, shift), image)

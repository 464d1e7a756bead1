"""Adversarial losses: pairs of pure functions of (real_logits, fake_logits), one per player.

Discriminators return logits; the sigmoid of the original GAN is part of the losses here.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan.config.run import ADVERSARY
from jaxgan.errors import UserError
from jaxgan.game import AdversarialLoss
from jaxgan.layers.collective import pmean

Logits = Float[Array, "b ..."]

softplus = jax.nn.softplus


def per_example(loss: Any, weights: Any = None) -> Float[Array, " b"]:
    """One value per example: the mean over all axes but the first, then over the scales.

    `loss` is an array `[B, ...]` or a pytree of such arrays (several scales). It is first multiplied by `weights`,
    of the same structure and with broadcastable shapes (e.g. the mask of a patch map).
    """
    if weights is not None:
        loss = jax.tree.map(jnp.multiply, loss, weights)
    leaves = [leaf.astype(jnp.float32).reshape(leaf.shape[0], -1).mean(axis=1) for leaf in jax.tree.leaves(loss)]
    return sum(leaves[1:], leaves[0]) / len(leaves)


def _discriminator_cross_entropy(real_logits: Logits, fake_logits: Logits) -> Logits:
    return softplus(-real_logits) + softplus(fake_logits)


def _minimax_generator(real_logits: Logits, fake_logits: Logits) -> Logits:  # noqa: ARG001
    return -softplus(fake_logits)


def _non_saturating_generator(real_logits: Logits, fake_logits: Logits) -> Logits:  # noqa: ARG001
    return softplus(-fake_logits)


def _least_squares_discriminator(real_logits: Logits, fake_logits: Logits) -> Logits:
    return 0.5 * jnp.square(real_logits - 1.0) + 0.5 * jnp.square(fake_logits)


def _least_squares_generator(real_logits: Logits, fake_logits: Logits) -> Logits:  # noqa: ARG001
    return 0.5 * jnp.square(fake_logits - 1.0)


def _hinge_discriminator(real_logits: Logits, fake_logits: Logits) -> Logits:
    return jax.nn.relu(1.0 - real_logits) + jax.nn.relu(1.0 + fake_logits)


def _wasserstein_discriminator(real_logits: Logits, fake_logits: Logits) -> Logits:
    return fake_logits - real_logits


def _wasserstein_generator(real_logits: Logits, fake_logits: Logits) -> Logits:  # noqa: ARG001
    return -fake_logits


def _relativistic_discriminator(real_logits: Logits, fake_logits: Logits) -> Logits:
    return softplus(fake_logits - real_logits)


def _relativistic_generator(real_logits: Logits, fake_logits: Logits) -> Logits:
    return softplus(real_logits - fake_logits)


def _smoothed_cross_entropy(share: float, real_logits: Logits, fake_logits: Logits) -> Logits:
    reals = (1.0 - share) * softplus(-real_logits) + share * softplus(real_logits)
    return reals + softplus(fake_logits)


def _smoothed_least_squares(share: float, real_logits: Logits, fake_logits: Logits) -> Logits:
    return 0.5 * jnp.square(real_logits - (1.0 - share)) + 0.5 * jnp.square(fake_logits)


def _batch_mean(logits: Logits) -> Float[Array, "1 ..."]:
    return pmean(logits.mean(axis=0, keepdims=True))


def _relativistic_average_discriminator(real_logits: Logits, fake_logits: Logits) -> Logits:
    above_fakes = real_logits - _batch_mean(fake_logits)
    above_reals = fake_logits - _batch_mean(real_logits)
    return softplus(-above_fakes) + softplus(above_reals)


def _relativistic_average_generator(real_logits: Logits, fake_logits: Logits) -> Logits:
    return _relativistic_average_discriminator(fake_logits, real_logits)


minimax = AdversarialLoss(_discriminator_cross_entropy, _minimax_generator)
"""The original game (Goodfellow et al. 2014, eq. 1); saturating for the generator."""

non_saturating = AdversarialLoss(_discriminator_cross_entropy, _non_saturating_generator)
"""The generator maximises log D(G(z)) (Goodfellow et al. 2014, section 3)."""

least_squares = AdversarialLoss(_least_squares_discriminator, _least_squares_generator)
"""LSGAN with a=0, b=c=1 (Mao et al. 2017, eq. 2 and 9)."""

hinge = AdversarialLoss(_hinge_discriminator, _wasserstein_generator)
"""Hinge loss (Lim & Ye 2017; Miyato et al. 2018, eq. 16-17)."""

wasserstein = AdversarialLoss(_wasserstein_discriminator, _wasserstein_generator)
"""The critic's difference of means (Arjovsky et al. 2017, eq. 2); requires a Lipschitz discriminator."""

relativistic = AdversarialLoss(_relativistic_discriminator, _relativistic_generator)
"""Relativistic pairing: each fake against the real in its row (Jolicoeur-Martineau 2018; Huang et al. 2024, eq. 2)."""

relativistic_average = AdversarialLoss(_relativistic_average_discriminator, _relativistic_average_generator)
"""Each real against the mean of the fakes and vice versa (Jolicoeur-Martineau 2018, eq. 13-14)."""

# from each discriminator loss whose target for the reals is 1 to the same loss with target 1 - share
SMOOTHED: dict[Any, Any] = {
    _discriminator_cross_entropy: _smoothed_cross_entropy,
    _least_squares_discriminator: _smoothed_least_squares,
}


def smoothed(loss: AdversarialLoss, share: float, path: str = ADVERSARY) -> AdversarialLoss:
    """The loss with one-sided label smoothing: the discriminator's target for the reals is 1 - `share` instead of 1.

    The target for the fakes stays 0, and the generator's loss is unchanged (Salimans et al. 2016, section 3.4). With a
    share of 0 the loss is returned as is. Raises UserError like `check_smoothing`.
    """
    check_smoothing(loss, share, path)
    return loss._replace(discriminator=partial(SMOOTHED[loss.discriminator], share)) if share else loss


def check_smoothing(loss: AdversarialLoss | None, share: float, path: str = ADVERSARY) -> None:
    """Raise UserError if the share is outside [0, 0.5), or is not 0 and the loss has no target for the reals."""
    if not 0.0 <= share < 0.5:
        raise UserError(f"{path}.label_smoothing: got {share}, expected 0 or more and less than 0.5")
    if share and (loss is None or loss.discriminator not in SMOOTHED):
        raise UserError(
            f"{path}.label_smoothing: got {share}, but {path}.loss has no target for the reals; "
            "expected 0, or minimax, non_saturating or least_squares as the loss"
        )

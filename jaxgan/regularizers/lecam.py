"""The LeCam regularizer (Tseng et al. 2021, "Regularizing GANs under limited data")."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan.config.domains import DecayTraced, Given, NotNegativeTraced, Whole
from jaxgan.layers.collective import pmean
from jaxgan.losses.adversarial import per_example

START = MappingProxyType({"real": 0.0, "fake": 0.0})


def lecam(
    real_logits: Given[Any],
    fake_logits: Given[Any],
    images_seen: Given[Any],
    *,
    weight: NotNegativeTraced = 0.3,
    decay: DecayTraced = 0.99,
    start: Whole = 64_000,
    memory: Given[Mapping[str, Any]] = START,
) -> tuple[Float[Array, " b"], dict[str, Array]]:
    """weight (|D(x) - a_F|^2 + |D(G(z)) - a_R|^2) and the moving means a_R and a_F of the logits (eqs. 4 and 5).

    Before `start` images the penalty is 0 and the means are those of the latest step, so the averages start from the
    current logits. Patches and scales of logits are averaged first.
    """
    real, fake = per_example(real_logits), per_example(fake_logits)
    started = jnp.asarray(images_seen) >= start
    keep = jnp.where(started, decay, 0.0)
    now = jax.lax.stop_gradient(pmean({"real": real.mean(), "fake": fake.mean()}))
    means = {name: keep * memory[name] + (1.0 - keep) * now[name] for name in now}
    values = jnp.square(real - means["fake"]) + jnp.square(fake - means["real"])
    return jnp.where(started, weight, 0.0) * values, means

"""The drift penalty, which keeps the logits of a Wasserstein critic near zero; its loss alone does not."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan.config.domains import Given, NotNegativeTraced
from jaxgan.losses.adversarial import per_example


def drift(real_logits: Given[Any], *, weight: NotNegativeTraced = 1e-3) -> Float[Array, " b"]:
    """weight D(x)^2 at the reals (Karras et al. 2018, appendix A.1)."""
    return weight * jnp.square(per_example(real_logits))

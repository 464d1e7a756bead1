"""Memory for time: what the backward pass computes again instead of keeping it since the forward one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import jax

Remat = Literal["none", "elementwise", "full"]

POLICIES = {
    "elementwise": jax.checkpoint_policies.dots_saveable,  # results of convolutions count as such
    "full": jax.checkpoint_policies.nothing_saveable,
}


def recomputed(function: Callable[..., Any], remat: Remat) -> Callable[..., Any]:
    """`function` with the same values and derivatives, of whose insides less is kept for its gradient.

    `elementwise` keeps the results of convolutions and matrix products and computes what lies between
    them again (Chen et al. 2016, section 3); `full` keeps the arguments alone.
    """
    return function if remat == "none" else jax.checkpoint(function, policy=POLICIES[remat])

"""Rematerialisation: the backward pass recomputes activations instead of storing them, time for memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import jax

Remat = Literal["none", "elementwise", "full"]

POLICIES = {
    "elementwise": jax.checkpoint_policies.dots_saveable,  # convolutions count as dots
    "full": jax.checkpoint_policies.nothing_saveable,
}


def recomputed(function: Callable[..., Any], remat: Remat) -> Callable[..., Any]:
    """`function` with the same values and derivatives, which stores less for its gradient.

    `elementwise` stores the results of convolutions and matrix products and recomputes everything between them
    (Chen et al. 2016, section 3); `full` stores only the arguments.
    """
    return function if remat == "none" else jax.checkpoint(function, policy=POLICIES[remat])

"""Curves through time: codes on a grid, such as those of motion, and what lies between them at any real-valued time.

Without padding on the way from noise to codes, and with curves that know only codes near by, a longer film begins as a
shorter one does, and it may begin anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Curve = Literal["linear", "b_spline"]

BEYOND: dict[str, int] = {"linear": 0, "b_spline": 1}  # codes that a curve needs before its start and after its end


def curve(codes: Float[Array, "b m c"], t: Float[Array, "b n"], kind: Curve = "linear") -> Float[Array, "b n c"]:
    """The values of a curve at times t, where a step of the grid is 1; beyond its ends it stays as it is there.

    "linear" goes through the codes, from t = 0 at the first to m - 1. "b_spline", the uniform cubic one, has two
    continuous derivatives and passes near them, from t = 0 at the second code to m - 3 at the last but one. float32.
    """
    first, last = BEYOND[kind], codes.shape[1] - 1 - BEYOND[kind]
    places = jnp.clip(t.astype(jnp.float32) + first, first, last)
    distance = jnp.abs(places[..., None] - jnp.arange(codes.shape[1]))
    near = jax.nn.relu(1.0 - distance)
    weights = near if kind == "linear" else (jax.nn.relu(2.0 - distance) ** 3 - 4.0 * near**3) / 6.0
    return jnp.einsum("bnm,bmc->bnc", weights, codes.astype(jnp.float32), precision="highest")


def codes_until(last: float | int, kind: Curve = "linear") -> int:
    """How many codes a curve from time 0 to `last` needs."""
    return math.ceil(last) + 1 + 2 * BEYOND[kind]


def noise_before(codes: int, kernel_sizes: Sequence[int]) -> int:
    """How many vectors of noise become so many codes by convolutions along time without padding, in a row."""
    return codes + sum(size - 1 for size in kernel_sizes)

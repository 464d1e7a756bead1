"""Curves through time: codes on a grid, such as motion codes, interpolated at any real-valued time.

There is no padding on the way from noise to codes, and curves depend only on nearby codes. So a longer film starts
exactly as a shorter one does, and a film can start at any time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Curve = Literal["linear", "b_spline"]

BEYOND: dict[str, int] = {"linear": 0, "b_spline": 1}  # extra codes that a curve needs at each end


def curve(codes: Float[Array, "b m c"], t: Float[Array, "b n"], kind: Curve = "linear") -> Float[Array, "b n c"]:
    """The values of a curve at times t, in units of the grid step; constant beyond the ends of the curve. float32.

    "linear" passes through the codes, from t = 0 at the first to t = m - 1 at the last. "b_spline", the uniform cubic
    one, has two continuous derivatives and passes near them, from t = 0 at the second code to t = m - 3 at the last
    but one.
    """
    first, last = BEYOND[kind], codes.shape[1] - 1 - BEYOND[kind]
    places = jnp.clip(t.astype(jnp.float32) + first, first, last)
    distance = jnp.abs(places[..., None] - jnp.arange(codes.shape[1]))
    near = jax.nn.relu(1.0 - distance)
    weights = near if kind == "linear" else (jax.nn.relu(2.0 - distance) ** 3 - 4.0 * near**3) / 6.0
    return jnp.einsum("bnm,bmc->bnc", weights, codes.astype(jnp.float32), precision="highest")


def codes_until(last: float | int, kind: Curve = "linear") -> int:
    """The number of codes that a curve from time 0 to `last` needs."""
    return math.ceil(last) + 1 + 2 * BEYOND[kind]


def noise_before(codes: int, kernel_sizes: Sequence[int]) -> int:
    """The number of noise vectors that a chain of unpadded convolutions along time turns into `codes` codes."""
    return codes + sum(size - 1 for size in kernel_sizes)

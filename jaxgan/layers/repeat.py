"""Loops: unrolled on CPU, where convolutions inside loops are 35 to 67 times slower, compiled once elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax


def fold(function: Callable[[Any, Any], tuple[Any, Any]], carry: Any, xs: Any) -> tuple[Any, Any]:
    """`(carry, ys)` of `carry, y = function(carry, x)` over the leading axis of `xs`, as `jax.lax.scan`."""
    length = jax.tree.leaves(xs)[0].shape[0]

    def unrolled(carry: Any, xs: Any) -> tuple[Any, Any]:
        return jax.lax.scan(function, carry, xs, unroll=length)

    def looped(carry: Any, xs: Any) -> tuple[Any, Any]:
        return jax.lax.scan(function, carry, xs)

    return jax.lax.platform_dependent(carry, xs, cpu=unrolled, default=looped)

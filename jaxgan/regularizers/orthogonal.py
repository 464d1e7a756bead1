"""Orthogonality of weights."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def orthogonal(params: Any, *, weight: Any = 1e-4) -> Float[Array, ""]:
    """weight |W^T W (1 - I)|_F^2, summed over the kernels (Brock et al. 2019, eq. 3): columns at right angles.

    The columns are a kernel's output features; their lengths are left free. Kernels are the params of that
    name with more than one axis, so biases, scales and embeddings are not touched.
    """
    total = jnp.float32(0.0)
    for path, kernel in jax.tree_util.tree_leaves_with_path(params):
        if getattr(path[-1], "key", None) == "kernel" and kernel.ndim > 1:
            columns = kernel.reshape(-1, kernel.shape[-1]).astype(jnp.float32)
            products = jnp.matmul(columns.T, columns, precision="highest")
            total += jnp.square(products * (1.0 - jnp.eye(len(products)))).sum()
    return weight * total

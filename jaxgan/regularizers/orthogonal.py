"""Orthogonality of weights."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan.config.domains import Given, NotNegativeTraced


def orthogonal(
    params: Given[Any], *, transposed: Given[Collection[tuple[str, ...]]] = (), weight: NotNegativeTraced = 1e-4
) -> Float[Array, ""]:
    """weight |W^T W (1 - I)|_F^2, summed over the kernels (Brock et al. 2019, eq. 3): makes columns orthogonal.

    The columns are the output features of a kernel; their lengths are not constrained. Kernels are the params named
    `kernel` with more than one axis, so biases, scales and embeddings are excluded (BigGAN excludes its shared
    embedding). `transposed` lists the paths of modules whose kernels have their output features on the second-to-last
    axis, such as transposed convolutions (see `jaxgan.layers.conv.transposed_kernels`).
    """
    total = jnp.float32(0.0)
    for path, kernel in jax.tree_util.tree_leaves_with_path(params):
        *module, name = (getattr(step, "key", None) for step in path)
        if name == "kernel" and kernel.ndim > 1:
            kernel = kernel.swapaxes(-1, -2) if tuple(module) in transposed else kernel
            columns = kernel.reshape(-1, kernel.shape[-1]).astype(jnp.float32)
            products = jnp.matmul(columns.T, columns, precision="highest")
            total += jnp.square(products * (1.0 - jnp.eye(len(products)))).sum()
    return weight * total

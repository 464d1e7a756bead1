"""Kernel Inception distance: the maximum mean discrepancy of two sets of features (Binkowski et al. 2018)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def kernel_distance(
    real: Float[np.ndarray, "n d"],
    fake: Float[np.ndarray, "m e"],
    *,
    subsets: int = 100,
    subset_size: int = 1_000,
    seed: int = 2020,
) -> float:
    """The mean over random subsets of the unbiased squared discrepancy (section 3, eq. 4) with a cubic kernel.

    k(x, y) = (x y / d + 1)^3. It can be negative. Subsets are drawn as by torch-fidelity; they are smaller if there are
    fewer features. Raises ValueError for fewer than two features, and for sets of different dimensions.
    """
    if real.shape[1] != fake.shape[1]:
        raise ValueError(f"got features of {real.shape[1]} and {fake.shape[1]} dimensions, expected equal dimensions")
    size = min(subset_size, len(real), len(fake))
    if size < 2:
        raise ValueError(f"got sets of {len(real)} and {len(fake)} features, expected at least 2 in each")
    random, distances = np.random.RandomState(seed), []
    for _ in range(subsets):
        some_fakes = fake[random.choice(len(fake), size, replace=False)]
        some_reals = real[random.choice(len(real), size, replace=False)]
        distances.append(_unbiased(some_fakes.astype(np.float64), some_reals.astype(np.float64)))
    return float(np.mean(distances))


def _unbiased(x: np.ndarray, y: np.ndarray) -> float:
    size, within = len(x), 0.0
    for points in (x, y):
        products = _kernel(points, points)
        within += products.sum() - np.trace(products)
    return within / (size * (size - 1)) - 2.0 * _kernel(x, y).mean()


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x @ y.T / x.shape[1] + 1.0) ** 3

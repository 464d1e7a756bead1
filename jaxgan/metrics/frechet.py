"""Frechet distance between two sets of features, each read as one Gaussian (Heusel et al. 2017)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64


class Gaussian(NamedTuple):
    """Mean `[d]` and covariance `[d,d]` of a set of features, in float64."""

    mean: Float64[np.ndarray, " d"]
    covariance: Float64[np.ndarray, "d d"]


def gaussian(features: Float[np.ndarray, "n d"]) -> Gaussian:
    """Mean and unbiased covariance of features; ValueError with fewer than two of them."""
    if len(features) < 2:
        raise ValueError(f"a covariance needs at least 2 features, got {len(features)}")
    features = features.astype(np.float64)
    mean = features.mean(axis=0)
    centred = features - mean
    return Gaussian(mean, centred.T @ centred / (len(features) - 1))


def frechet_distance(
    mean1: Float[np.ndarray, " d"],
    cov1: Float[np.ndarray, "d d"],
    mean2: Float[np.ndarray, " d"],
    cov2: Float[np.ndarray, "d d"],
) -> float:
    """Squared Frechet distance of two Gaussians: |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^1/2).

    Heusel et al. 2017, eq. 6. The trace of the root is the sum of the roots of the eigenvalues of
    C1^1/2 C2 C1^1/2, a symmetric matrix with the spectrum of C1 C2: stable when the covariances are
    singular, where the root of the product is not.
    """
    cov1, cov2 = cov1.astype(np.float64), cov2.astype(np.float64)
    values, vectors = np.linalg.eigh(cov1)
    root = (vectors * np.sqrt(values.clip(min=0.0))) @ vectors.T
    product = root @ cov2 @ root
    trace_of_root = np.sqrt(np.linalg.eigvalsh((product + product.T) / 2).clip(min=0.0)).sum()
    shift = mean1.astype(np.float64) - mean2.astype(np.float64)
    # the exact value is never negative; rounding is
    return max(0.0, float(shift @ shift + np.trace(cov1) + np.trace(cov2) - 2.0 * trace_of_root))

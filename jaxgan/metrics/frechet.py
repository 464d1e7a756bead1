"""Frechet distance between two sets of features, each modelled as a Gaussian (Heusel et al. 2017)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64


class Gaussian(NamedTuple):
    """Mean `[d]` and covariance `[d,d]` of a set of features, in float64."""

    mean: Float64[np.ndarray, " d"]
    covariance: Float64[np.ndarray, "d d"]


class Moments:
    """Mean and covariance of features added in parts; memory does not grow with their number.

    Each part is centred by its own mean and then merged with those before it (Chan, Golub and LeVeque 1983, eq. 1.5 in
    matrix form), in float64, so that no precision is lost if the mean is large relative to the spread.
    """

    def __init__(self) -> None:
        self.count = 0
        self._mean, self._scatter = np.zeros(0), np.zeros((0, 0))

    def add(self, features: Float[np.ndarray, "n d"]) -> None:
        """Add features. Raises ValueError if their number of dimensions changes."""
        count = len(features)
        if not count:
            return
        features = features.astype(np.float64)
        mean = features.mean(axis=0)
        features -= mean
        scatter = features.T @ features
        if not self.count:
            self.count, self._mean, self._scatter = count, mean, scatter
            return
        if mean.shape != self._mean.shape:
            raise ValueError(f"features: got {len(mean)} dimensions, expected {len(self._mean)} as before")
        together, shift = self.count + count, mean - self._mean
        scatter += np.outer(shift, shift) * (self.count * count / together)
        self._scatter += scatter
        self._mean = self._mean + shift * (count / together)
        self.count = together

    def gaussian(self) -> Gaussian:
        """Mean and unbiased covariance of all features so far. Raises ValueError for fewer than two."""
        if self.count < 2:
            raise ValueError(f"got {self.count} features, expected at least 2 for a covariance")
        return Gaussian(self._mean.copy(), self._scatter / (self.count - 1))


def gaussian(features: Float[np.ndarray, "n d"]) -> Gaussian:
    """Mean and unbiased covariance of features. Raises ValueError for fewer than two."""
    moments = Moments()
    moments.add(features)
    return moments.gaussian()


def frechet_distance(
    mean1: Float[np.ndarray, " d"],
    cov1: Float[np.ndarray, "d d"],
    mean2: Float[np.ndarray, " e"],
    cov2: Float[np.ndarray, "e e"],
) -> float:
    """Squared Frechet distance of two Gaussians: |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^1/2).

    Heusel et al. 2017, eq. 6. The trace of the root is computed as the sum of the square roots of the eigenvalues of
    C1^1/2 C2 C1^1/2, a symmetric matrix with the spectrum of C1 C2. Unlike the root of the product, this is stable for
    singular covariances. Raises ValueError for Gaussians of different dimensions.
    """
    if len(mean1) != len(mean2):
        raise ValueError(f"got Gaussians of {len(mean1)} and {len(mean2)} dimensions, expected equal dimensions")
    cov1, cov2 = cov1.astype(np.float64), cov2.astype(np.float64)
    values, vectors = np.linalg.eigh(cov1)
    root = (vectors * np.sqrt(values.clip(min=0.0))) @ vectors.T
    product = root @ cov2 @ root
    trace_of_root = np.sqrt(np.linalg.eigvalsh((product + product.T) / 2).clip(min=0.0)).sum()
    shift = mean1.astype(np.float64) - mean2.astype(np.float64)
    # the exact value is never negative, but rounding can make it so
    return max(0.0, float(shift @ shift + np.trace(cov1) + np.trace(cov2) - 2.0 * trace_of_root))

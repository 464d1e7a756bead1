"""Diversity: how far samples lie from each other, relative to the data. Cheap enough to watch a run by."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int


def diversity(
    fake: Float[np.ndarray, "n d"],
    real: Float[np.ndarray, "m d"],
    *,
    fake_labels: Int[np.ndarray, " n"] | None = None,
    real_labels: Int[np.ndarray, " m"] | None = None,
) -> float:
    """Root mean square distance of pairs of fakes, divided by that of pairs of reals.

    1: as varied as the data; 0: every sample the same. With both sets' labels, only pairs within a
    class count and the classes of the reals weigh the same, so that a conditional generator which
    draws one picture a class scores 0 although its classes differ; a class with fewer than two fakes
    counts as 0. It costs O(n d): the mean square distance of pairs is twice the variance.
    ValueError if the reals do not differ, or if only one set has labels.
    """
    if (fake_labels is None) != (real_labels is None):
        raise ValueError("diversity within classes needs the labels of both sets, got those of one")
    if fake_labels is None or real_labels is None:
        return _spread_ratio(fake, real)
    classes = [label for label in np.unique(real_labels) if (real_labels == label).sum() > 1]
    return float(np.mean([_spread_ratio(fake[fake_labels == c], real[real_labels == c]) for c in classes]))


def _spread_ratio(fake: np.ndarray, real: np.ndarray) -> float:
    real_variance = _variance(real)
    if real_variance <= 0.0:
        raise ValueError("diversity is relative to that of the reals, and these are all the same")
    return float(np.sqrt(_variance(fake) / real_variance))


def _variance(points: np.ndarray) -> float:
    if len(points) < 2:
        return 0.0
    return float(np.var(points, axis=0, ddof=1, dtype=np.float64).sum())

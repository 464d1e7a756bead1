"""Diversity: how far samples lie from each other, relative to the data. Cheap enough to watch a run by."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Int64

SAME = 1e-10  # of the largest variance of a class: copies of one image differ by rounding only


class Variances(NamedTuple):
    """By class: how many features `[k]`, and the sum `[k]` of their unbiased variances (0 of fewer than two)."""

    counts: Int64[np.ndarray, " k"]
    variances: Float[np.ndarray, " k"]


class Spread:
    """The variance within each class of features that come in parts (Chan, Golub and LeVeque 1983, eq. 1.5)."""

    def __init__(self, num_classes: int = 1):
        """`num_classes` 1: all features are of one class."""
        self._counts = np.zeros(num_classes, np.int64)
        self._means, self._squares = np.zeros((num_classes, 0)), np.zeros(num_classes)

    def add(self, features: Float[np.ndarray, "n d"], labels: Int[np.ndarray, " m"] | None = None) -> None:
        """Count further features, of these classes (None: of the first). ValueError for another number of labels."""
        if labels is not None and len(labels) != len(features):
            raise ValueError(f"expected a label for each of {len(features)} features, got {len(labels)}")
        if not self._means.shape[1]:
            self._means = np.zeros((len(self._counts), features.shape[1]))
        features = features.astype(np.float64)
        for label in (0,) if labels is None else np.unique(labels):
            part = features if labels is None else features[labels == label]
            if not len(part):
                continue
            mean, before, count = part.mean(axis=0), self._counts[label], len(part)
            shift, weight = mean - self._means[label], count / (before + count)
            self._squares[label] += np.square(part - mean).sum() + (shift @ shift) * before * weight
            self._means[label] += shift * weight
            self._counts[label] += count

    def variances(self) -> Variances:
        """Of all features so far."""
        return Variances(self._counts.copy(), self._squares / np.maximum(self._counts - 1, 1))


def diversity(
    fake: Float[np.ndarray, "n d"],
    real: Float[np.ndarray, "m e"],
    *,
    fake_labels: Int[np.ndarray, " k"] | None = None,
    real_labels: Int[np.ndarray, " l"] | None = None,
) -> float:
    """Root mean square distance of pairs of fakes, divided by that of pairs of reals.

    1: as varied as the data; 0: every sample the same. With both sets' labels, only pairs within a
    class count and the classes of the reals weigh the same, so that a conditional generator which
    draws one picture a class scores 0 although its classes differ; a class with fewer than two fakes
    counts as 0. It costs O(n d): the mean square distance of pairs is twice the variance.
    ValueError if the reals do not differ (within any class), if only one set has labels, and for sets of unequal
    dimensions or with other numbers of labels than features.
    """
    if fake.shape[1] != real.shape[1]:
        raise ValueError(f"expected features of equal dimensions, got {fake.shape[1]} and {real.shape[1]}")
    if (fake_labels is None) != (real_labels is None):
        raise ValueError("diversity within classes needs the labels of both sets, got those of one")
    classes = 1
    if fake_labels is not None and real_labels is not None:
        classes = 1 + int(max(fake_labels.max(initial=0), real_labels.max(initial=0)))
    fakes, reals = Spread(classes), Spread(classes)
    fakes.add(fake, fake_labels)
    reals.add(real, real_labels)
    found = relative_diversity(fakes.variances(), reals.variances())
    if found is None:
        raise ValueError("diversity is relative to that of the reals, and these are all the same")
    return found


def relative_diversity(
    fake: Variances, real: Variances, *, counted: Bool[np.ndarray, " k"] | None = None
) -> float | None:
    """`diversity` of variances by class; None where no class has two reals that differ: there is no such score.

    `counted`: the classes of which enough samples were asked for to tell (None: all).
    """
    least = SAME * real.variances.max()
    classes = (real.counts > 1) & (real.variances > least)
    if counted is not None:
        classes &= counted
    if not classes.any():
        return None
    return float(np.sqrt(fake.variances[classes] / real.variances[classes]).mean())

"""Diversity: distances between samples relative to those in the data. Cheap enough to monitor a run."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Int64

SAME = 1e-10  # relative to the largest variance of a class: copies of one image differ only by rounding


class Variances(NamedTuple):
    """Per class: number of features `[k]`, and the sum `[k]` of their unbiased variances (0 for fewer than two)."""

    counts: Int64[np.ndarray, " k"]
    variances: Float[np.ndarray, " k"]


class Spread:
    """The variance within each class of features added in parts (Chan, Golub and LeVeque 1983, eq. 1.5)."""

    def __init__(self, num_classes: int = 1):
        """`num_classes` 1: all features belong to one class."""
        self._counts = np.zeros(num_classes, np.int64)
        self._means, self._squares = np.zeros((num_classes, 0)), np.zeros(num_classes)

    def add(self, features: Float[np.ndarray, "n d"], labels: Int[np.ndarray, " m"] | None = None) -> None:
        """Add features of these classes (None: the first class). Raises ValueError for a wrong number of labels."""
        if labels is not None and len(labels) != len(features):
            raise ValueError(f"got {len(labels)} labels, expected one for each of {len(features)} features")
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
        """The counts and variances of all features so far."""
        return Variances(self._counts.copy(), self._squares / np.maximum(self._counts - 1, 1))


def diversity(
    fake: Float[np.ndarray, "n d"],
    real: Float[np.ndarray, "m e"],
    *,
    fake_labels: Int[np.ndarray, " k"] | None = None,
    real_labels: Int[np.ndarray, " l"] | None = None,
) -> float:
    """Root mean square distance of pairs of fakes, divided by that of pairs of reals.

    1: as varied as the data; 0: all samples are equal. If both sets have labels, only pairs within a class count, and
    all classes of the reals have equal weight; so a conditional generator that produces one picture per class scores 0
    although its classes differ. A class with fewer than two fakes counts as 0. The cost is O(n d), because the mean
    square distance of pairs is twice the variance. Raises ValueError if the reals are all equal (within every class),
    if only one set has labels, if the dimensions differ, and for a wrong number of labels.
    """
    if fake.shape[1] != real.shape[1]:
        raise ValueError(f"got features of {fake.shape[1]} and {real.shape[1]} dimensions, expected equal dimensions")
    if (fake_labels is None) != (real_labels is None):
        raise ValueError("got the labels of one set, expected those of both sets or none")
    classes = 1
    if fake_labels is not None and real_labels is not None:
        classes = 1 + int(max(fake_labels.max(initial=0), real_labels.max(initial=0)))
    fakes, reals = Spread(classes), Spread(classes)
    fakes.add(fake, fake_labels)
    reals.add(real, real_labels)
    found = relative_diversity(fakes.variances(), reals.variances())
    if found is None:
        raise ValueError("got reals that are all equal, expected different ones to relate diversity to")
    return found


def relative_diversity(
    fake: Variances, real: Variances, *, counted: Bool[np.ndarray, " k"] | None = None
) -> float | None:
    """`diversity` from variances per class; None if no class has two different reals, which leaves it undefined.

    `counted`: the classes with enough requested samples (None: all).
    """
    least = SAME * real.variances.max()
    classes = (real.counts > 1) & (real.variances > least)
    if counted is not None:
        classes &= counted
    if not classes.any():
        return None
    return float(np.sqrt(fake.variances[classes] / real.variances[classes]).mean())

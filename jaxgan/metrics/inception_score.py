"""Inception score: how confident a classifier is per sample, and how even over all (Salimans et al. 2016)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class InceptionScore(NamedTuple):
    """Mean and standard deviation over splits; the score is from 1 to the number of classes, higher is better."""

    mean: float
    deviation: float


class InceptionScoreSums:
    """Accumulates an Inception score from logits added in parts; keeps `splits` sums for any number of samples."""

    def __init__(self, count: int, *, splits: int = 10, seed: int = 2020):
        """`count` samples will be added, each to the split in which torch-fidelity's shuffle would put it.

        Raises ValueError for fewer samples than splits.
        """
        if count < splits:
            raise ValueError(
                f"got {count} samples, expected at least {splits} for an Inception score in {splits} splits"
            )
        self._seen, bounds = 0, np.arange(splits + 1) * count // splits
        self._split = np.empty(count, np.int32)  # of each sample
        self._split[np.random.RandomState(seed).permutation(count)] = np.repeat(np.arange(splits), np.diff(bounds))
        self._sizes = np.diff(bounds)
        self._entropies = np.zeros(splits)  # sums of sum_y p log p
        self._marginals = np.zeros((splits, 0))  # sums of p

    def add(self, logits: Float[np.ndarray, "n k"]) -> None:
        """Add the next samples. Raises ValueError for more than `count`."""
        rows = slice(self._seen, self._seen + len(logits))
        if rows.stop > len(self._split):
            raise ValueError(f"got the logits of {rows.stop} samples, expected {len(self._split)}")
        if not self._marginals.shape[1]:
            self._marginals = np.zeros((len(self._sizes), logits.shape[1]))
        shifted = logits.astype(np.float64)
        shifted -= shifted.max(axis=1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        p = np.exp(log_p)
        np.add.at(self._marginals, self._split[rows], p)
        np.add.at(self._entropies, self._split[rows], (p * log_p).sum(axis=1))
        self._seen = rows.stop

    def score(self) -> InceptionScore:
        """exp of the mean KL(p(y|x) || p(y)) in each split (section 4). Raises ValueError if samples are missing."""
        if self._seen < len(self._split):
            raise ValueError(f"got the logits of {self._seen} samples, expected {len(self._split)}")
        marginal = self._marginals / self._sizes[:, None]
        log_marginal = np.log(marginal, out=np.zeros_like(marginal), where=marginal > 0)
        divergence = self._entropies / self._sizes - (marginal * log_marginal).sum(axis=1)
        scores = np.exp(divergence)
        return InceptionScore(float(scores.mean()), float(scores.std()))


def inception_score(logits: Float[np.ndarray, "n k"], *, splits: int = 10, seed: int = 2020) -> InceptionScore:
    """exp of the mean KL(p(y|x) || p(y)) in each of `splits` parts of the shuffled samples (section 4).

    The shuffle is torch-fidelity's. Raises ValueError for fewer samples than parts.
    """
    sums = InceptionScoreSums(len(logits), splits=splits, seed=seed)
    sums.add(logits)
    return sums.score()

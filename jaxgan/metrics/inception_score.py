"""Inception score: how sure a classifier is of each sample, and how evenly of all (Salimans et al. 2016)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class InceptionScore(NamedTuple):
    """Mean and standard deviation over the parts of the samples; from 1 to the number of classes, more is better."""

    mean: float
    deviation: float


class InceptionScoreSums:
    """What an Inception score needs of logits that come in parts: `splits` sums, whatever the number of samples."""

    def __init__(self, count: int, *, splits: int = 10, seed: int = 2020):
        """`count` samples will come, each in the split where torch-fidelity's shuffle would put it.

        ValueError for fewer samples than splits.
        """
        if count < splits:
            raise ValueError(f"an Inception score in {splits} parts needs as many samples, got {count}")
        self._seen, bounds = 0, np.arange(splits + 1) * count // splits
        self._split = np.empty(count, np.int32)  # of each sample
        self._split[np.random.RandomState(seed).permutation(count)] = np.repeat(np.arange(splits), np.diff(bounds))
        self._sizes = np.diff(bounds)
        self._entropies = np.zeros(splits)  # sums of sum_y p log p
        self._marginals = np.zeros((splits, 0))  # sums of p

    def add(self, logits: Float[np.ndarray, "n k"]) -> None:
        """Count the next samples. ValueError for more than were announced."""
        rows = slice(self._seen, self._seen + len(logits))
        if rows.stop > len(self._split):
            raise ValueError(f"expected the logits of {len(self._split)} samples, got {rows.stop}")
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
        """exp of the mean KL(p(y|x) || p(y)) in each split (section 4). ValueError before all samples have come."""
        if self._seen < len(self._split):
            raise ValueError(f"expected the logits of {len(self._split)} samples, got {self._seen}")
        marginal = self._marginals / self._sizes[:, None]
        log_marginal = np.log(marginal, out=np.zeros_like(marginal), where=marginal > 0)
        divergence = self._entropies / self._sizes - (marginal * log_marginal).sum(axis=1)
        scores = np.exp(divergence)
        return InceptionScore(float(scores.mean()), float(scores.std()))


def inception_score(logits: Float[np.ndarray, "n k"], *, splits: int = 10, seed: int = 2020) -> InceptionScore:
    """exp of the mean KL(p(y|x) || p(y)) in each of `splits` parts of the shuffled samples (section 4).

    Shuffled as torch-fidelity shuffles. ValueError for fewer samples than parts.
    """
    sums = InceptionScoreSums(len(logits), splits=splits, seed=seed)
    sums.add(logits)
    return sums.score()

"""Inception score: how sure a classifier is of each sample, and how evenly of all (Salimans et al. 2016)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class InceptionScore(NamedTuple):
    """Mean and standard deviation over the parts of the samples; from 1 to the number of classes, more is better."""

    mean: float
    deviation: float


def inception_score(logits: Float[np.ndarray, "n k"], *, splits: int = 10, seed: int = 2020) -> InceptionScore:
    """exp of the mean KL(p(y|x) || p(y)) in each of `splits` parts of the shuffled samples (section 4).

    Shuffled as torch-fidelity shuffles. ValueError for fewer samples than parts.
    """
    count = len(logits)
    if count < splits:
        raise ValueError(f"an Inception score in {splits} parts needs as many samples, got {count}")
    logits = logits[np.random.RandomState(seed).permutation(count)].astype(np.float64)
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    scores = []
    for index in range(splits):
        part = log_p[index * count // splits : (index + 1) * count // splits]
        marginal = np.log(np.exp(part).mean(axis=0))
        scores.append(float(np.exp((np.exp(part) * (part - marginal)).sum(axis=1).mean())))
    return InceptionScore(float(np.mean(scores)), float(np.std(scores)))

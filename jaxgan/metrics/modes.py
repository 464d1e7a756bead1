"""Number of modes found and how evenly they are hit, for data whose modes a classifier can recognise."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int


def modes_found(predicted: Int[np.ndarray, " n"], *, num_modes: int) -> int:
    """Number of modes with at least one sample (Metz et al. 2017, section 3.3.1).

    Raises ValueError for no samples or a label outside 0 to `num_modes` - 1.
    """
    return int(np.count_nonzero(_counts(predicted, num_modes)))


def mode_divergence(predicted: Int[np.ndarray, " n"], *, num_modes: int) -> float:
    """KL(samples || uniform modes) in nats: 0 for evenly spread samples, log(num_modes) for a single mode.

    The reverse divergence of Metz et al. 2017 and Lin et al. 2018, section 4.1. For a perfect generator and n samples,
    many more than modes, it is about (num_modes - 1) / 2n. Raises ValueError as `modes_found`.
    """
    shares = _counts(predicted, num_modes) / len(predicted)
    shares = shares[shares > 0]
    return float((shares * np.log(shares * num_modes)).sum())


def _counts(labels: np.ndarray, num_modes: int) -> np.ndarray:
    if not len(labels) or labels.min() < 0 or labels.max() >= num_modes:
        raise ValueError(f"labels: expected at least one, all from 0 to {num_modes - 1}")
    return np.bincount(labels, minlength=num_modes)

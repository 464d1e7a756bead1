"""What classes samples for scores are asked for: in the shares that the training images have."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int, Int32

from jaxgan.data.sources import Source, describe, read_labels
from jaxgan.evaluators.reference import identity
from jaxgan.evaluators.reference_cache import cached

MOST_LABELS = 100_000  # read where the source does not know them; of more examples so many random ones


def count_labels(source: Source, *, cache_dir: str, seed: int) -> Int[np.ndarray, " k"]:
    """How many training images each class has; of a very large data set how many of `MOST_LABELS` random ones.

    A folder knows; of others labels alone are read, once, and the counts kept in `cache_dir`.
    """
    known = getattr(source, "label_counts", None)
    if known is not None:
        return known
    spec = source.spec
    number = min(spec.size, MOST_LABELS)

    def count() -> dict[str, np.ndarray]:
        rows = np.sort(np.random.default_rng(seed).permutation(spec.size)[:number])
        labels = read_labels(source, rows)
        return {"counts": np.bincount(labels[labels >= 0], minlength=len(spec.classes))}  # -1: without a label

    description = {"labels of": identity(source), "number": number, "seed": seed}
    return cached(cache_dir, description, count, [describe(source)])["counts"]


def spread_labels(counts: Int[np.ndarray, " k"], number: int) -> Int32[np.ndarray, " n"]:
    """`number` labels in the shares of `counts`, so spread that any beginning has those shares: to less than one label.

    The chairman assignment of Tijdeman 1980: of the classes that are due, the one that would be late first; of equals
    the first. So equal counts give the classes in turn, as many labels as were counted give the counts themselves, and
    a class without images is never asked for. ValueError for counts of nothing.
    """
    total, (asked,) = int(counts.sum()), np.nonzero(counts)
    if total < 1:
        raise ValueError("labels need at least one image that has one")
    if len(asked) == 1:
        return np.full(number, asked[0], np.int32)
    shares, parts = counts[asked].astype(np.int64), 2 * len(asked) - 2
    owed, labels = np.zeros_like(shares), np.empty(number, np.int32)  # owed: in parts of a label, times the total
    for place in range(number):
        owed += parts * shares
        late = np.where(owed >= total, (parts * total - total - owed) / shares, np.inf)
        winner = late.argmin()
        owed[winner] -= parts * total
        labels[place] = asked[winner]
    return labels

"""Labels to generate samples with for scores: the classes in the proportions of the training images."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int, Int32

from jaxgan.data.sources import Source, describe, read_labels
from jaxgan.evaluators.reference import identity
from jaxgan.evaluators.reference_cache import cached

MOST_LABELS = 100_000  # labels read if the source has no counts; from larger sources a random subset of this size


def count_labels(source: Source, *, cache_dir: str, seed: int) -> Int[np.ndarray, " k"]:
    """Number of training images per class; for a very large data set, counted on `MOST_LABELS` random images.

    Image folders know their counts. For other sources only the labels are read, once, and the counts are stored in
    `cache_dir`.
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
    """`number` labels in the proportions of `counts`, which every prefix keeps to within less than one label.

    The chairman assignment of Tijdeman 1980: of the classes that are due, take the one with the earliest deadline; of
    equal ones, the first. Equal counts give the classes in turn, `counts.sum()` labels give exactly `counts`, and a
    class without images never occurs. Raises ValueError if all counts are 0.
    """
    total, (asked,) = int(counts.sum()), np.nonzero(counts)
    if total < 1:
        raise ValueError("got counts of 0, expected at least one image with a label")
    if len(asked) == 1:
        return np.full(number, asked[0], np.int32)
    shares, parts = counts[asked].astype(np.int64), 2 * len(asked) - 2
    owed, labels = np.zeros_like(shares), np.empty(number, np.int32)  # owed: in 1 / (parts * total) of a label
    for place in range(number):
        owed += parts * shares
        late = np.where(owed >= total, (parts * total - total - owed) / shares, np.inf)
        winner = late.argmin()
        owed[winner] -= parts * total
        labels[place] = asked[winner]
    return labels

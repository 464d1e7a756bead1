"""Precision, recall, density and coverage: how two sets of features overlap as k-NN manifolds.

The manifold of a set is the union of balls around its points, each reaching to the point's k-th
nearest neighbour. Balls are closed, and distances equal up to rounding count as equal, so exact
copies and ties are inside. Distances are float64 and made block by block: memory stays bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64

BLOCK_BYTES = 64 * 2**20  # of distances held at a time
ROUNDING = 1e-12  # relative error granted to |a|^2 + |b|^2 - 2ab in float64


class ManifoldScores(NamedTuple):
    """Overlap of fakes and reals; all but density, which has no upper bound, are in [0, 1]."""

    precision: float  # share of fakes inside the reals' manifold; one far real's large ball can hold anything
    recall: float  # share of reals inside the fakes' manifold
    density: float  # mean number of the reals' balls around a fake, by k; 1 for equal distributions
    coverage: float  # share of reals whose ball holds a fake


def neighbour_radii(points: Float[np.ndarray, "n d"], neighbours: int) -> Float64[np.ndarray, " n"]:
    """Squared distance of each point to its `neighbours`-th nearest other point.

    A point is no neighbour of itself, by index: a copy of it is one, at distance 0. ValueError
    unless `1 <= neighbours < n`.
    """
    if not 1 <= neighbours < len(points):
        raise ValueError(f"neighbours must be from 1 to {len(points) - 1} for {len(points)} points, got {neighbours}")
    points = _centred(points, points.mean(axis=0, dtype=np.float64))
    radii = np.empty(len(points))
    for rows, squared in _squared_distances(points, points):
        squared[np.arange(len(squared)), np.arange(rows.start, rows.stop)] = np.inf
        squared.partition(neighbours - 1, axis=1)
        radii[rows] = squared[:, neighbours - 1]
    return radii


def manifold_scores(
    real: Float[np.ndarray, "n d"],
    fake: Float[np.ndarray, "m e"],
    *,
    neighbours: int,
    real_radii: Float64[np.ndarray, " r"] | None = None,
) -> ManifoldScores:
    """Improved precision and recall (Kynkaanniemi et al. 2019, eq. 1-2), density and coverage.

    The latter two are Naeem et al. 2020, eq. 3-4. `real_radii` are `neighbour_radii(real, neighbours)`
    where they are known already. The scores depend on n and m: compare runs with equal counts only. ValueError for
    sets of unequal dimensions, and for radii of another number of points.
    """
    if real.shape[1] != fake.shape[1]:
        raise ValueError(f"expected features of equal dimensions, got {real.shape[1]} and {fake.shape[1]}")
    if real_radii is not None and len(real_radii) != len(real):
        raise ValueError(f"real_radii: expected one for each of {len(real)} points, got {len(real_radii)}")
    if real_radii is None:
        real_radii = neighbour_radii(real, neighbours)
    fake_radii = neighbour_radii(fake, neighbours)
    mean = real.mean(axis=0, dtype=np.float64)  # near the origin the distances keep their digits
    real, fake = _centred(real, mean), _centred(fake, mean)
    slack = ROUNDING * (_largest_square(real) + _largest_square(fake))

    balls_around_fake = np.zeros(len(fake), np.int64)
    recalled = np.empty(len(real), bool)
    covered = np.empty(len(real), bool)
    for rows, squared in _squared_distances(real, fake):
        in_real_ball = squared <= real_radii[rows, None] + slack
        balls_around_fake += in_real_ball.sum(axis=0)
        covered[rows] = in_real_ball.any(axis=1)
        recalled[rows] = (squared <= fake_radii + slack).any(axis=1)
    return ManifoldScores(
        precision=float((balls_around_fake > 0).mean()),
        recall=float(recalled.mean()),
        density=float(balls_around_fake.mean() / neighbours),
        coverage=float(covered.mean()),
    )


def _centred(points: np.ndarray, mean: np.ndarray) -> np.ndarray:
    return points.astype(np.float64) - mean


def _largest_square(points: np.ndarray) -> float:
    return float(np.einsum("nd,nd->n", points, points).max())


def _squared_distances(left: np.ndarray, right: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Blocks of rows of the squared distances `[rows, len(right)]`, each the caller's to change."""
    right_squares = np.einsum("nd,nd->n", right, right)
    count = max(1, BLOCK_BYTES // (8 * len(right)))
    for start in range(0, len(left), count):
        block = left[start : start + count]
        squared = block @ right.T
        squared *= -2.0
        squared += right_squares
        squared += np.einsum("nd,nd->n", block, block)[:, None]
        yield slice(start, start + len(block)), np.maximum(squared, 0.0, out=squared)

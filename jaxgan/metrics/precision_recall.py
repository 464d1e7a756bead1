"""Precision, recall, density and coverage: the overlap of two sets of features as k-NN manifolds.

The manifold of a set is the union of balls around its points; the radius of a ball is the distance to the point's k-th
nearest neighbour. Balls are closed, and distances that are equal up to rounding count as equal, so that exact copies
and ties are inside. Distances are float64 and computed block by block, so memory stays bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64

BLOCK_BYTES = 64 * 2**20  # memory for a block of distances
ROUNDING = 1e-12  # relative error granted to |a|^2 + |b|^2 - 2ab in float64


class ManifoldScores(NamedTuple):
    """Overlap of fakes and reals; all are in [0, 1] except density, which has no upper bound."""

    precision: float  # share of fakes inside the reals' manifold; the large ball of an outlier can contain anything
    recall: float  # share of reals inside the fakes' manifold
    density: float  # mean number of the reals' balls that contain a fake, divided by k; 1 for equal distributions
    coverage: float  # share of reals whose ball contains a fake


def neighbour_radii(points: Float[np.ndarray, "n d"], neighbours: int) -> Float64[np.ndarray, " n"]:
    """Squared distance of each point to its `neighbours`-th nearest other point.

    A point is not its own neighbour (by index), but a copy of it is one, at distance 0. Raises ValueError unless
    `1 <= neighbours < n`.
    """
    if not 1 <= neighbours < len(points):
        raise ValueError(f"neighbours: got {neighbours}, expected 1 to {len(points) - 1} for {len(points)} points")
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

    The latter two are Naeem et al. 2020, eq. 3-4. `real_radii` are `neighbour_radii(real, neighbours)` if these are
    already known. The scores depend on n and m: compare only runs with equal counts. Raises ValueError for sets of
    different dimensions, and for a wrong number of radii.
    """
    if real.shape[1] != fake.shape[1]:
        raise ValueError(f"got features of {real.shape[1]} and {fake.shape[1]} dimensions, expected equal dimensions")
    if real_radii is not None and len(real_radii) != len(real):
        raise ValueError(f"real_radii: got {len(real_radii)}, expected one for each of {len(real)} points")
    if real_radii is None:
        real_radii = neighbour_radii(real, neighbours)
    fake_radii = neighbour_radii(fake, neighbours)
    mean = real.mean(axis=0, dtype=np.float64)  # centred points lose less precision in the distances
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
    """Blocks of rows of the squared distances `[rows, len(right)]`; the caller may modify them."""
    right_squares = np.einsum("nd,nd->n", right, right)
    count = max(1, BLOCK_BYTES // (8 * len(right)))
    for start in range(0, len(left), count):
        block = left[start : start + count]
        squared = block @ right.T
        squared *= -2.0
        squared += right_squares
        squared += np.einsum("nd,nd->n", block, block)[:, None]
        yield slice(start, start + len(block)), np.maximum(squared, 0.0, out=squared)

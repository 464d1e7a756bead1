"""Amount and variety of motion in clips, relative to the data; both fall when motion collapses."""

from __future__ import annotations

import numpy as np

from jaxgan.data.sources import Source
from jaxgan.evaluators.streams import Rows, describe_reals
from jaxgan.metrics.diversity import Spread, relative_diversity
from jaxgan.metrics.velocity import velocities

NAMES = ("motion", "motion_diversity")
MOST_CLIPS = 500  # of the data


class Moved:
    """Accumulates statistics of the motion of clips."""

    def __init__(self) -> None:
        """Begin without clips."""
        self._changes, self._spread = list[np.ndarray](), Spread()

    def add(self, rows: Rows) -> None:
        """Add clips by their descriptions, see `describe_motion`."""
        self._changes.append(rows["change"])
        self._spread.add(rows["velocity"])

    def relative_to(self, real: Moved) -> dict[str, float]:
        """Mean change from frame to frame, and diversity of velocities, each divided by that of real clips.

        0: nothing moves, or all clips move in the same way. A score that is 0 or undefined for real clips is left out.
        """
        if not self._changes:
            return {}
        change, reals = (float(np.concatenate(each._changes).mean()) for each in (self, real))
        diversity = relative_diversity(self._spread.variances(), real._spread.variances())
        found = {"motion": change / reals if reals else None, "motion_diversity": diversity}
        return {f"{name}/thumbnails": value for name, value in found.items() if value is not None}


def describe_motion(clips: np.ndarray) -> dict[str, np.ndarray]:
    """Describe the motion of each of uint8 clips `[n,T,H,W,C]`, see `velocities`."""
    return velocities(clips)._asdict()


def motion_of_reals(source: Source, samples: int, seed: int) -> Moved:
    """Motion of `samples` random real clips, at most 500 or as many as there are. All processes must call it."""
    seen = Moved()
    for rows, _ in describe_reals(source, describe_motion, min(samples, source.spec.size, MOST_CLIPS), seed):
        seen.add(rows)
    return seen

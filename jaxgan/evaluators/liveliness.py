"""Whether clips move as much and as variously as those of the data: motion collapse shows here."""

from __future__ import annotations

import numpy as np

from jaxgan.data.sources import Source
from jaxgan.evaluators.streams import Rows, describe_reals
from jaxgan.metrics.diversity import Spread, relative_diversity
from jaxgan.metrics.velocity import velocities

NAMES = ("motion", "motion_diversity")
MOST_CLIPS = 500  # of the data


class Moved:
    """What was seen of how clips move."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._changes, self._spread = list[np.ndarray](), Spread()

    def add(self, rows: Rows) -> None:
        """Count clips by their descriptions, see `describe_motion`."""
        self._changes.append(rows["change"])
        self._spread.add(rows["velocity"])

    def relative_to(self, real: Moved) -> dict[str, float]:
        """Mean change from frame to frame, and diversity of velocities, each divided by that of real clips.

        0: nothing moves, or all move alike. Left out is what the reals do not have.
        """
        if not self._changes:
            return {}
        change, reals = (float(np.concatenate(each._changes).mean()) for each in (self, real))
        diversity = relative_diversity(self._spread.variances(), real._spread.variances())
        found = {"motion": change / reals if reals else None, "motion_diversity": diversity}
        return {f"{name}/thumbnails": value for name, value in found.items() if value is not None}


def describe_motion(clips: np.ndarray) -> dict[str, np.ndarray]:
    """How each of uint8 clips `[n,T,H,W,C]` moves."""
    return velocities(clips)._asdict()


def motion_of_reals(source: Source, samples: int, seed: int) -> Moved:
    """Of as many random clips as samples, or as there are. Of several processes all must call it."""
    seen = Moved()
    for rows, _ in describe_reals(source, describe_motion, min(samples, source.spec.size, MOST_CLIPS), seed):
        seen.add(rows)
    return seen

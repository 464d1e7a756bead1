"""Motion truth of clips in which one bright thing moves straight on between the edges, see `jaxgan.metrics.motion`."""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxgan.data.sources import Source
from jaxgan.evaluators.reference import told_of
from jaxgan.evaluators.streams import Rows, describe_reals
from jaxgan.metrics.motion import Motion, motion, speed_distance

MOST_CLIPS = 5_000  # of the data


class MotionScores:
    """Distance of the speeds from those of the data, share of straight paths, share of clips that move."""

    names = ("speed_distance", "straight", "moves")

    def __init__(self, source: Source, *, samples: int, neighbours: int, seed: int):
        """Track the reference: as many clips as samples, or as there are."""
        del neighbours
        self.samples, count = samples, min(samples, source.spec.size, MOST_CLIPS)
        reals = MotionSamples(np.zeros(0))
        for rows, _ in describe_reals(source, self.describe, count, seed):
            reals.add(rows, None)
        self._reals = reals.motion()
        self.manifest: dict[str, Any] = {
            "features": "motion",
            **told_of(source, count, seed),
            "samples": samples,
            "straight_reals": self._reals.straight,
            "moving_reals": float(self._reals.moves.mean()),
        }

    def describe(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """How each of uint8 clips `[n,T,H,W,C]` moves."""
        return motion(images)._asdict()

    def start(self) -> MotionSamples:
        """Nothing seen yet."""
        return MotionSamples(self._reals.speed)


class MotionSamples:
    """What was seen of samples, and its scores."""

    def __init__(self, speeds: np.ndarray):
        """`speeds` are those of the data."""
        self._speeds, self._seen = speeds, list[Rows]()

    def add(self, rows: Rows, labels: np.ndarray | None) -> None:  # noqa: ARG002
        """Count samples, whatever they were asked for."""
        self._seen.append(rows)

    def motion(self) -> Motion:
        """Of all clips seen."""
        return Motion(*(np.concatenate([rows[name] for rows in self._seen]) for name in Motion._fields))

    def scores(self) -> dict[str, float]:
        """By name."""
        found = self.motion()
        distance = speed_distance(self._speeds, found.speed)
        return {
            "speed_distance/motion": distance,
            "straight/motion": found.straight,
            "moves/motion": float(found.moves.mean()),
        }

"""Scores of a restored clip in time, as means that can be put together from parts of the clip."""

from __future__ import annotations

import dataclasses

import numpy as np

from jaxgan.metrics.motion import flicker
from jaxgan.metrics.temporal import BORDER, ClipMotion, Distance, tlp, tof, warping_error

TIME_SCORES = ("tof", "warping_error", "flicker", "tlp")
OF_CLIP = ("warping_error", "flicker")  # those that an original has, too


@dataclasses.dataclass(frozen=True)
class Mean:
    """Of so many numbers; NaN of none."""

    total: float = 0.0
    count: int = 0

    @classmethod
    def of(cls, values: np.ndarray) -> Mean:
        """The finite ones of some numbers."""
        finite = values[np.isfinite(values)]
        return cls(float(finite.sum(dtype=np.float64)), finite.size)

    def __add__(self, other: Mean) -> Mean:
        return Mean(self.total + other.total, self.count + other.count)

    @property
    def value(self) -> float:
        """The mean."""
        return self.total / self.count if self.count else np.nan


def time_scores(
    restored: np.ndarray, original: np.ndarray, motion: ClipMotion, distance: Distance | None = None
) -> dict[str, Mean]:
    """tOF, warping error, flicker, and tLP where there is a `distance`, of a clip uint8 `[t,h,w,C]`, t at least 2.

    Flicker is the mean change in levels of 255 where the original stands still. tOF is left out of small frames. See
    `jaxgan.metrics.temporal`, `jaxgan.metrics.motion`. Raises ValueError for clips that do not fit.
    """
    scores = {}
    if min(original.shape[1:3]) > 2 * BORDER:
        scores["tof"] = Mean.of(tof(restored, motion))
    scores["warping_error"] = Mean.of(warping_error(restored, motion))
    try:
        found = flicker(restored[None], original[None])
        scores["flicker"] = Mean(found.output * found.pixels, found.pixels)
    except ValueError:  # nothing stands still
        scores["flicker"] = Mean()
    if distance is not None:
        scores["tlp"] = Mean.of(tlp(restored, original, distance))
    return scores

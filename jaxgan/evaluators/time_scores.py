"""Temporal scores of a restored clip, as means that can be combined from parts of the clip."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence

import numpy as np

from jaxgan.metrics.motion import flicker
from jaxgan.metrics.temporal import BORDER, ClipMotion, Distance, clip_motion, tlp, tof, warping_error
from jaxgan.system import signals

TIME_SCORES = ("tof", "warping_error", "flicker", "tlp")
OF_CLIP = ("warping_error", "flicker")  # scores that are defined for an original as well
MOST = 2**24  # pixels in all scored frames, maximum: half a minute on one core, 300 MB


@dataclasses.dataclass(frozen=True)
class Mean:
    """A mean as the total and count of its numbers; NaN if there are none."""

    total: float = 0.0
    count: int = 0

    @classmethod
    def of(cls, values: np.ndarray) -> Mean:
        """The mean of the finite values."""
        finite = values[np.isfinite(values)]
        return cls(float(finite.sum(dtype=np.float64)), finite.size)

    def __add__(self, other: Mean) -> Mean:
        return Mean(self.total + other.total, self.count + other.count)

    @property
    def value(self) -> float:
        """The mean."""
        return self.total / self.count if self.count else np.nan


def change_scores(clip: np.ndarray, original: np.ndarray, motion: ClipMotion) -> dict[str, Mean]:
    """The scores of `OF_CLIP` for a clip uint8 `[t,h,w,C]`, t at least 2, which may be the original itself.

    Flicker is the mean change, in levels of 255, where the original is still. Raises ValueError for clips of different
    shapes.
    """
    error = Mean.of(warping_error(clip, motion))
    try:
        found = flicker(clip[None], original[None])
    except ValueError:  # no pixel is still
        return {"warping_error": error, "flicker": Mean()}
    return {"warping_error": error, "flicker": Mean(found.output * found.pixels, found.pixels)}


def time_scores(
    restored: np.ndarray, original: np.ndarray, motion: ClipMotion, distance: Distance | None = None
) -> dict[str, Mean]:
    """tOF, warping error, flicker, and tLP if `distance` is given, of a clip uint8 `[t,h,w,C]`, t at least 2.

    Small frames have no tOF. See `jaxgan.metrics.temporal` and `jaxgan.metrics.motion`. Raises ValueError for clips of
    different shapes.
    """
    found = change_scores(restored, original, motion)
    if min(original.shape[1:3]) > 2 * BORDER:
        found = {"tof": Mean.of(tof(restored, motion)), **found}
    return found if distance is None else {**found, "tlp": Mean.of(tlp(restored, original, distance))}


class TimeScores:
    """Scores restored clips against the same originals every time; the originals' motion is estimated once and kept.

    If the clips have more than `MOST` pixels in all, only evenly spaced clips are scored.
    """

    def __init__(self, originals: Sequence[np.ndarray], distance: Distance | None = None):
        """`originals`: clips uint8 `[t,h,w,C]`. `distance`: LPIPS of two batches of frames in [-1, 1], for tLP."""
        pixels = sum(clip[..., 0].size for clip in originals)
        count = max(1, len(originals) * MOST // max(pixels, MOST))
        self._chosen = np.linspace(0, len(originals) - 1, count).round().astype(int)
        self._originals, self._distance = originals, distance

    def __call__(self, restored: Sequence[np.ndarray]) -> dict[str, list[float]]:
        """The scores of the selected clips, by name; NaN if undefined, as flicker can be."""
        return self._by_name(lambda n, clip, motion: time_scores(restored[n], clip, motion, self._distance))

    @functools.cached_property
    def of_originals(self) -> dict[str, list[float]]:
        """The scores of `OF_CLIP` for the originals."""
        return self._by_name(lambda _, clip, motion: change_scores(clip, clip, motion))

    def _by_name(self, score: Callable[..., dict[str, Mean]]) -> dict[str, list[float]]:
        found = list[dict[str, Mean]]()
        for number, motion in zip(self._chosen, self._motions):
            signals.check()
            found.append(score(number, self._originals[number], motion))
        names = dict.fromkeys(name for scores in found for name in scores)
        return {name: [scores.get(name, Mean()).value for scores in found] for name in names}

    @functools.cached_property
    def _motions(self) -> list[ClipMotion]:
        return [clip_motion(self._originals[number]) for number in self._chosen]

"""Restoration of clips without training: baselines for the scores of a network.

These are the picture methods, applied frame by frame (see `jaxgan.evaluators.baselines`), and methods that use several
frames or that video editors offer. Each has at most one parameter, which is tuned on clips of the training split.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from jaxgan.augment.clip_degradations import MappedNoise
from jaxgan.evaluators.baselines import find_baseline
from jaxgan.game import Degradation
from jaxgan.media.images import to_uint8
from jaxgan.metrics.image_quality import psnr

WIDTHS = (3, 5, 7, 9, 13)  # frames
FAR = (5, 9, 17, 33, 65)  # frames searched for a covered pixel
STRENGTHS = (1.0, 2.0, 3.5, 5.0, 7.0, 9.0, 12.0, 15.0, 20.0, 25.0, 30.0)  # of FFmpeg's nlmeans, whose range is 1 to 30
PATCH, REACH = 5, 13  # pixels: patch size and search window; better here than nlmeans' defaults of 7 and 15
LEVELS = 255
COVERED = 0.5  # threshold for a mask, which is 0 or 1
BEST_PSNR = 100.0  # decibels: used for equal clips instead of infinity

log = logging.getLogger(__name__)

Pairs = Sequence[tuple[np.ndarray, np.ndarray]]  # a condition float32 [t,h,w,C'] in [-1, 1], its original uint8
RestoreWith = Callable[[np.ndarray, float], np.ndarray]


class ClipBaseline(NamedTuple):
    """A named method: maps a condition, float32 `[t,h,w,C']` in [-1, 1], and one of `values` to `[t,sh,sw,C]`."""

    name: str
    restore: RestoreWith
    values: tuple[float, ...] = (0.0,)
    unit: str = ""


def find_clip_baselines(degradation: Degradation | None) -> list[ClipBaseline]:
    """Return the baselines for a degradation, the picture method first.

    The others are the mean and the median over a window of frames (after the picture method if it enlarges) and, for
    conditions of the original size, FFmpeg's non-local means. For masked clips the only other is the median of the
    known values of a pixel in a window of frames.
    """
    if isinstance(degradation, MappedNoise):
        return [_unmapped(each) for each in find_clip_baselines(degradation.unmapped)]
    picture = find_baseline(degradation)

    def framewise(clip: np.ndarray, _: float = 0.0) -> np.ndarray:
        return np.stack([picture.restore(frame) for frame in clip])

    found = [ClipBaseline(picture.name, framewise)]
    if degradation is not None and degradation.masks:

        def fill(clip: np.ndarray, width: float) -> np.ndarray:
            return framewise(known_median(clip, int(width)))

        return [*found, ClipBaseline("temporal_median", fill, FAR, "frames")]
    enlarge = framewise if degradation is not None and degradation.scale > 1 else lambda clip: clip
    for name, method in (("temporal_mean", temporal_mean), ("temporal_median", temporal_median)):

        def smooth(clip: np.ndarray, width: float, method: Callable[..., np.ndarray] = method) -> np.ndarray:
            return method(enlarge(clip), int(width))

        found.append(ClipBaseline(name, smooth, WIDTHS, "frames"))
    if enlarge is not framewise:
        found.append(ClipBaseline("nlmeans", _nlmeans, STRENGTHS, "of its strength"))
    return found


def _unmapped(baseline: ClipBaseline) -> ClipBaseline:
    """The baseline for conditions whose last channel is a noise map, which it ignores."""
    return baseline._replace(restore=lambda clip, value: baseline.restore(clip[..., :-1], value))


def tuned(baseline: ClipBaseline, pairs: Pairs) -> ClipBaseline:
    """The baseline with the value that restores the pairs best, by mean PSNR.

    Values are tried in order until one is worse than the best so far. Raises ValueError without pairs.
    """
    if len(baseline.values) == 1:
        return baseline
    if not pairs:
        raise ValueError("expected pairs of clips, got none")
    best, best_score = baseline.values[0], -np.inf
    for value in baseline.values:
        score = float(np.mean([_psnr(baseline, value, *pair) for pair in pairs]))
        if score < best_score:
            break
        if score > best_score:
            best, best_score = value, score
    log.info("%s: tuned to %g %s on %d training clips", baseline.name, best, baseline.unit, len(pairs))
    return baseline._replace(values=(best,))


def temporal_mean(clip: np.ndarray, width: int) -> np.ndarray:
    """Mean over each frame of a clip `[t,...]` and its neighbours at most `width // 2` frames away, within the clip."""
    return np.stack([window.mean(axis=0) for window in _windows(clip, width)])


def temporal_median(clip: np.ndarray, width: int) -> np.ndarray:
    """As `temporal_mean`, but the median."""
    return np.stack([np.median(window, axis=0) for window in _windows(clip, width)])


def known_median(clip: np.ndarray, width: int) -> np.ndarray:
    """Replace each covered pixel of a masked clip `[t,h,w,C+1]` by the median of its known values in the window.

    Known pixels are unchanged. In the result the last channel, the mask, is 1 where a pixel is known in none of the
    window's frames.
    """
    found = clip.copy()
    for frame, window in zip(found, _windows(clip, width)):
        covered = frame[..., -1] > COVERED
        pixels, hidden = window[:, covered, :-1], window[:, covered, -1:] > COVERED  # [w,n,C], [w,n,1]
        ranked = np.sort(np.where(hidden, np.inf, pixels), axis=0)  # the known ones first
        count = len(window) - hidden.sum(axis=0)[None]  # [1,n,1]
        middle = [
            np.take_along_axis(ranked, np.maximum(place, 0), axis=0)[0] for place in ((count - 1) // 2, count // 2)
        ]
        known = count[0] > 0
        with np.errstate(invalid="ignore"):
            frame[covered] = np.concatenate([np.where(known, sum(middle) / 2, 0.0), ~known], axis=1)
    return found


def _windows(clip: np.ndarray, width: int) -> list[np.ndarray]:
    reach = width // 2
    return [clip[max(0, number - reach) : number + reach + 1] for number in range(len(clip))]


def _nlmeans(clip: np.ndarray, strength: float) -> np.ndarray:
    from jaxgan.media.films.filtering import filtered  # requires the extra `[video]`

    made = filtered(to_uint8(clip), "nlmeans", f"s={strength:g}:p={PATCH}:r={REACH}")
    return made.astype(np.float32) / np.float32(127.5) - 1


def _psnr(baseline: ClipBaseline, value: float, condition: np.ndarray, original: np.ndarray) -> float:
    restored = to_uint8(baseline.restore(condition, value))
    return float(np.mean(np.minimum(psnr(restored, original, data_range=LEVELS), BEST_PSNR)))

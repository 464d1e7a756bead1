"""Restoration of clips that needs no training, to stand beside every score of a network.

The picture methods frame by frame (see `jaxgan.evaluators.baselines`), and some that look at several frames or that
video editors have. Each has at most one number, which is chosen on clips of the training split.
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
FAR = (5, 9, 17, 33, 65)  # frames in which a covered pixel is looked for
STRENGTHS = (1.0, 2.0, 3.5, 5.0, 7.0, 9.0, 12.0, 15.0, 20.0, 25.0, 30.0)  # of FFmpeg's nlmeans, which has 1 to 30
PATCH, REACH = 5, 13  # pixels of its patches and of where it looks for them; better here than its own 7 and 15
LEVELS = 255
COVERED = 0.5  # of a mask, which is 0 or 1
BEST_PSNR = 100.0  # decibels of equal clips

log = logging.getLogger(__name__)

Pairs = Sequence[tuple[np.ndarray, np.ndarray]]  # a condition float32 [t,h,w,C'] in [-1, 1], its original uint8
RestoreWith = Callable[[np.ndarray, float], np.ndarray]


class ClipBaseline(NamedTuple):
    """A method by name: a condition float32 `[t,h,w,C']` in [-1, 1], and a number of `values`, to `[t,sh,sw,C]`."""

    name: str
    restore: RestoreWith
    values: tuple[float, ...] = (0.0,)
    unit: str = ""


def find_clip_baselines(degradation: Degradation | None) -> list[ClipBaseline]:
    """What the degradation's conditions are restored with where there is no network, the picture method first.

    The mean and the median of a window of frames, after the picture method where it enlarges; FFmpeg's non-local means
    where size and masks are none; of masked clips the median of what is known of a pixel in a window of frames.
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
    """The baseline for conditions with a map of the noise behind, of which it has no use."""
    return baseline._replace(restore=lambda clip, value: baseline.restore(clip[..., :-1], value))


def tuned(baseline: ClipBaseline, pairs: Pairs) -> ClipBaseline:
    """The baseline with the one of its values that restores the pairs best, by the mean PSNR.

    Values are tried in their order until one is worse than the one before. ValueError without pairs.
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
    log.info("%s: %g %s, best of %d clips of training", baseline.name, best, baseline.unit, len(pairs))
    return baseline._replace(values=(best,))


def temporal_mean(clip: np.ndarray, width: int) -> np.ndarray:
    """Of each frame of `[t,...]` and those at most `width // 2` from it, as far as there are."""
    return np.stack([window.mean(axis=0) for window in _windows(clip, width)])


def temporal_median(clip: np.ndarray, width: int) -> np.ndarray:
    """Of each frame of `[t,...]` and those at most `width // 2` from it, as far as there are."""
    return np.stack([np.median(window, axis=0) for window in _windows(clip, width)])


def known_median(clip: np.ndarray, width: int) -> np.ndarray:
    """A masked clip `[t,h,w,C+1]` in which covered pixels are the median of where they are known in the window.

    What is known stands as it is. The last channel, the mask, is 1 where a pixel is known in none of these frames.
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
    from jaxgan.media.films.filtering import filtered  # needs the extra `[video]`

    made = filtered(to_uint8(clip), "nlmeans", f"s={strength:g}:p={PATCH}:r={REACH}")
    return made.astype(np.float32) / np.float32(127.5) - 1


def _psnr(baseline: ClipBaseline, value: float, condition: np.ndarray, original: np.ndarray) -> float:
    restored = to_uint8(baseline.restore(condition, value))
    return float(np.mean(np.minimum(psnr(restored, original, data_range=LEVELS), BEST_PSNR)))

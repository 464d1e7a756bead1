"""Checks the motion of a bright object on black: straight between the edges, unchanged identity, right speed.

It is for procedural clips with a known law of motion, such as moving digits. A Frechet video distance is hardly
sensitive to wrong motion (Ge et al. 2024, arXiv 2404.12391); these values are in pixels. Positions `(y, x)` refer to
the centres of pixels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Real, UInt8

THRESHOLD = 0.35  # relative to a clip's maximum after smoothing; darker pixels are background
STRAIGHT = 1.0  # pixels: largest RMS distance from the law of motion, and largest spread of a motionless object
EDGE = 4.0  # pixels: largest distance from an edge at which an object may turn, since its faint tips are not detected
SHORTEST = 2.0  # frames: shortest time between two turns along one axis
PHASES = 40  # phases per period in the first grid
ROUNDS, FINER = 5, 3.0  # number of finer grids, and the factor between them
STILL = 2.0  # levels of 255: a pixel that changes at most this much from frame to frame is still
BLOCK_BYTES = 64 * 2**20  # memory for a block

Clips = UInt8[np.ndarray, "n t h w c"]


class Track(NamedTuple):
    """The position of the bright object in each frame.

    `centres` `[N,T,2]`, NaN in a frame without bright pixels; `room` `[N,2,2]`: per axis, the smallest and the largest
    coordinate of its centre at which it is entirely inside the frame (its extent is the median over the frames).
    """

    centres: Float64[np.ndarray, "n t 2"]
    room: Float64[np.ndarray, "n 2 2"]


class Motion(NamedTuple):
    """Per clip: whether the object moves, its distance from the law of motion in pixels, its speed in pixels per frame.

    It moves if the spread of its positions is more than 1 pixel (root mean square). The distance is the root mean
    square, over the frames, from the nearest path that is straight between turns at the edges; it is infinite if the
    object is missing in some frame. The speed is the mean step from frame to frame, slightly reduced by each turn; it
    is 0 for motionless objects.
    """

    moves: Bool[np.ndarray, " n"]
    distance: Float64[np.ndarray, " n"]
    speed: Float64[np.ndarray, " n"]

    @property
    def straight(self) -> float:
        """Share of straight paths (distance at most 1 pixel) among the clips that move; 0 if none moves."""
        return float(np.mean(self.distance[self.moves] <= STRAIGHT)) if self.moves.any() else 0.0


class Flicker(NamedTuple):
    """Mean change of a pixel from frame to frame, in levels of 255, where the reference is still."""

    output: float
    reference: float
    pixels: int  # number of pixels averaged

    @property
    def ratio(self) -> float | None:
        """Ratio of the output's change to the reference's; None if the reference does not change at all."""
        return self.output / self.reference if self.reference else None


def track(clips: Clips) -> Track:
    """Positions of the bright object: centres of its soft mask, after smoothing to remove single-pixel noise."""
    count, frames, height, width = clips.shape[:4]
    centres, room = np.empty((count, frames, 2)), np.empty((count, 2, 2))
    size = max(1, BLOCK_BYTES // (8 * max(1, frames * (height + 4) * (width + 4))))
    for start in range(0, count, size):
        rows = slice(start, start + size)
        masks = _masks(clips[rows])
        for axis, length in enumerate((height, width)):
            mass = masks.sum(axis=3 - axis)  # [n, t, length + 4]
            places = np.arange(length + 4) - 2.0
            with np.errstate(invalid="ignore"):
                centre = (mass @ places) / mass.sum(axis=2)
            inside = mass[:, :, 2:-2] > 0
            first, last = inside.argmax(axis=2), length - 1 - inside[:, :, ::-1].argmax(axis=2)
            centres[rows, :, axis] = centre
            before, behind = (_median(extent, ~np.isnan(centre)) for extent in (centre - first, last - centre))
            room[rows, axis] = np.stack([before, length - 1 - behind], axis=1)
    return Track(centres, room)


def motion(clips: Clips) -> Motion:
    """The motion in each clip. Raises ValueError for fewer than 3 frames, for which any path is straight."""
    if clips.shape[1] < 3:
        raise ValueError(f"got clips of {clips.shape[1]} frames, expected at least 3")
    centres, room = track(clips)
    seen = ~np.isnan(centres[:, :, 0])
    counts = np.maximum(seen.sum(axis=1), 1)[:, None, None]
    offsets = centres - np.nansum(centres, axis=1, keepdims=True) / counts
    moves = np.sqrt(np.nansum(np.square(offsets), axis=(1, 2)) / counts[:, 0, 0]) > STRAIGHT
    steps = np.linalg.norm(np.diff(centres, axis=1), axis=2)
    speed = np.where(moves, np.nansum(steps, axis=1) / np.maximum((~np.isnan(steps)).sum(axis=1), 1), 0.0)
    distance, whole = np.full(len(clips), np.inf), seen.all(axis=1)
    first, second = (_fit(centres[whole, :, axis], room[whole, axis]) for axis in (0, 1))
    distance[whole] = np.sqrt(first + second)
    return Motion(moves, distance, speed)


def speed_distance(first: Real[np.ndarray, " n"], second: Real[np.ndarray, " m"]) -> float:
    """The 1-Wasserstein distance of two sets of numbers: the area between their distribution functions.

    Raises ValueError for an empty set.
    """
    if not len(first) or not len(second):
        raise ValueError(f"got sets of {len(first)} and {len(second)} numbers, expected at least one in each")
    places = np.sort(np.concatenate([first, second]).astype(np.float64))
    shares = [np.searchsorted(np.sort(each), places[:-1], side="right") / len(each) for each in (first, second)]
    return float(np.abs(shares[0] - shares[1]) @ np.diff(places))


def identity_kept(predicted: Int[np.ndarray, "n t"]) -> float:
    """Share of a clip's frames with the class predicted most often in the clip; the mean over clips.

    Raises ValueError for no frames.
    """
    if not predicted.size:
        raise ValueError("got no frames, expected at least one frame of one clip")
    answers = np.stack([(predicted == answer).mean(axis=1) for answer in np.unique(predicted)])
    return float(answers.max(axis=0).mean())


def flicker(output: Clips, reference: UInt8[np.ndarray, "m s y x k"]) -> Flicker:
    """Mean changes of an output and its reference from frame to frame, at the pixels where the reference is still.

    A pixel is still if it changes by at most 2 levels. Raises ValueError for clips of different shapes, clips of one
    frame, and a reference without still pixels.
    """
    if output.shape != reference.shape or output.shape[1] < 2:
        got = f"got clips of shapes {output.shape} and {reference.shape}"
        raise ValueError(f"{got}, expected equal shapes and at least 2 frames")
    sums, still = np.zeros(2), 0
    for pair in zip(output, reference):
        changes = [np.abs(np.diff(clip.astype(np.float64), axis=0)) for clip in pair]
        mask = changes[1] <= STILL
        sums += [change[mask].sum() for change in changes]
        still += int(mask.sum())
    if not still:
        raise ValueError("the reference has no still pixels")
    return Flicker(float(sums[0] / still), float(sums[1] / still), still)


def changes(clips: Clips) -> Int[np.ndarray, "n 256"]:
    """Per clip, a histogram of the pixel changes from one frame to the next, 0 to 255 levels."""
    steps = (np.abs(np.diff(clip.astype(np.int16), axis=0)).ravel() for clip in clips)
    return np.stack([np.bincount(each, minlength=256) for each in steps])


def stillest(counts: Int[np.ndarray, " 256"], share: float) -> float:
    """Mean change, in levels, of the `share` of all pixels that changes least; `counts` as returned by `changes`.

    It separates flicker from motion without a reference for each clip. Raises ValueError if no pixels are left.
    """
    taken = np.diff(np.minimum(np.cumsum(counts), share * counts.sum()), prepend=0.0)
    if not taken.sum():
        raise ValueError("got no pixels, expected at least one for flicker")
    return float(taken @ np.arange(256) / taken.sum())


def _masks(clips: np.ndarray) -> np.ndarray:
    """Soft masks `[n,t,h+4,w+4]`: brightness above the threshold, smoothed by 1 2 1 on both axes, padded with black."""
    smooth = np.pad(clips.mean(axis=4), ((0, 0), (0, 0), (2, 2), (2, 2)))
    for axis in (2, 3):
        smooth = (
            2 * smooth + np.roll(smooth, 1, axis) + np.roll(smooth, -1, axis)
        ) / 4  # the wrapped-around pixels are black
    return np.maximum(smooth - THRESHOLD * smooth.max(axis=(1, 2, 3), keepdims=True), 0.0)


def _median(values: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """The median over the frames with an object; 0 if there are none."""
    return np.array([np.median(row[mask]) if mask.any() else 0.0 for row, mask in zip(values, seen)])


def _fit(places: Float[np.ndarray, "n t"], room: Float[np.ndarray, "n 2"]) -> Float64[np.ndarray, " n"]:
    """Mean square distance of one coordinate from the nearest path that is straight between turns at the edges.

    Such a path is a + b s(turns t + phase) with a triangle wave s that turns at the ends of the room. a and b are found
    by least squares, turns and phase by a grid search and then by finer grids around the best point.
    """
    frames = places.shape[1]
    step = 0.1 / (frames - 1)
    turns, phases = np.arange(step, 1.0 / SHORTEST + step, step), np.arange(PHASES) * (2.0 / PHASES)
    grid = np.stack(np.meshgrid(turns, phases, indexing="ij"), axis=-1).reshape(-1, 2)
    size = max(1, BLOCK_BYTES // (8 * 8 * len(grid)))
    best, squares = np.empty((len(places), 2)), np.empty(len(places))
    for start in range(0, len(places), size):
        rows = slice(start, start + size)
        found = _squares(places[rows], room[rows], grid[None])
        best[rows] = grid[found.argmin(axis=1)]
        squares[rows] = found.min(axis=1)
    around = np.stack(np.meshgrid(*(np.arange(-2, 3),) * 2, indexing="ij"), axis=-1).reshape(-1, 2)
    scale = np.array([step, 2.0 / PHASES])
    for _ in range(ROUNDS):
        scale = scale / FINER
        near = np.maximum(best[:, None] + around * scale, [1e-6, -np.inf])
        found = _squares(places, room, near)
        best = near[np.arange(len(near)), found.argmin(axis=1)]
        squares = np.minimum(squares, found.min(axis=1))
    return squares


def _squares(places: np.ndarray, room: np.ndarray, waves: np.ndarray) -> np.ndarray:
    """Mean squared residuals `[n,k]` of fitting waves `[n or 1,k,2]` (turns per frame, phase) to places `[n,t]`."""
    frames = places.shape[1]
    start, end = waves[..., 1], waves[..., 1] + waves[..., 0] * (frames - 1)
    along = waves[..., 1, None] + waves[..., 0, None] * np.arange(frames)
    wave = 2.0 * np.abs((along % 2.0) - 1.0) - 1.0  # 1 at even numbers, -1 at odd ones
    mean, level = wave.mean(axis=-1), places.mean(axis=1, keepdims=True)
    wave = wave - mean[..., None]
    power = np.maximum(np.square(wave).sum(axis=-1), 1e-12)
    centred = places - level
    if len(waves) == 1:
        product = centred @ wave[0].T
    else:
        product = np.einsum("nt,nkt->nk", centred, wave)
    height = np.maximum(product / power, 0.0)
    squares = (np.square(centred).sum(axis=1, keepdims=True) - height * (2.0 * product - height * power)) / frames
    middle = level - height * mean
    for sign, edge in ((1.0, room[:, 1:]), (-1.0, room[:, :1])):
        first = 2.0 * np.ceil((start - (sign < 0)) / 2.0) + (sign < 0)  # the first turn of this kind
        within = (first > start) & (first < end)
        squares = np.where(within & (np.abs(middle + sign * height - edge) > EDGE), np.inf, squares)
    return np.maximum(squares, 0.0)

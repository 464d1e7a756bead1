"""Whether one bright thing on black moves as it should: straight on between the edges, as itself, at the right speed.

For procedural clips, such as moving digits, whose law of motion is known. A Frechet video distance hardly notices wrong
motion (Ge et al. 2024, arXiv 2404.12391); these numbers are in pixels. Positions are of pixels' middles, `(y, x)`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Real, UInt8

THRESHOLD = 0.35  # of the brightest of a clip, after smoothing: what is darker is background
STRAIGHT = 1.0  # pixels: root mean square distance from the law of motion, and the spread of what stands still
EDGE = 4.0  # pixels from an edge within which something may turn back: its faint tips are not seen
SHORTEST = 2.0  # frames between two turns of one axis, at least
PHASES = 40  # tried at first, of a whole period
ROUNDS, FINER = 5, 3.0  # of finer trials, each so many times as fine
STILL = 2.0  # levels of 255 from frame to frame: a pixel that changes less stands still
BLOCK_BYTES = 64 * 2**20  # held at a time

Clips = UInt8[np.ndarray, "n t h w c"]


class Track(NamedTuple):
    """Where the bright thing is in each frame.

    `centres` `[N,T,2]`, NaN in a frame without anything bright; `room` `[N,2,2]`: the least and the largest coordinate
    of its centre, by axis, at which it lies whole in the frame (its extent is the median over the frames).
    """

    centres: Float64[np.ndarray, "n t 2"]
    room: Float64[np.ndarray, "n 2 2"]


class Motion(NamedTuple):
    """Of each clip: whether it moves, its distance from the law of motion in pixels, its speed in pixels a frame.

    It moves if its places differ by more than 1 pixel (root mean square). The distance is root mean square over the
    frames, from the nearest path that is straight between turns at the edges; infinite where the thing is lost in
    some frame. The speed is the mean step from frame to frame, which each turn makes a little less; 0 for what does not
    move.
    """

    moves: Bool[np.ndarray, " n"]
    distance: Float64[np.ndarray, " n"]
    speed: Float64[np.ndarray, " n"]

    @property
    def straight(self) -> float:
        """Share of paths within 1 pixel of straight among the clips that move; 0 if none does."""
        return float(np.mean(self.distance[self.moves] <= STRAIGHT)) if self.moves.any() else 0.0


class Flicker(NamedTuple):
    """Mean change of a pixel from frame to frame, in levels of 255, where the reference stands still."""

    output: float
    reference: float
    pixels: int  # that these are means of

    @property
    def ratio(self) -> float | None:
        """Of the output's to the reference's; None where the reference does not change at all."""
        return self.output / self.reference if self.reference else None


def track(clips: Clips) -> Track:
    """The places of what is bright: its soft mask's centre, after smoothing that leaves no single pixels of noise."""
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
    """How each clip moves. ValueError for clips of fewer than 3 frames, of which any path is straight."""
    if clips.shape[1] < 3:
        raise ValueError(f"a path needs at least 3 frames, got {clips.shape[1]}")
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

    ValueError for an empty set.
    """
    if not len(first) or not len(second):
        raise ValueError(f"expected two sets of numbers, got {len(first)} and {len(second)} of them")
    places = np.sort(np.concatenate([first, second]).astype(np.float64))
    shares = [np.searchsorted(np.sort(each), places[:-1], side="right") / len(each) for each in (first, second)]
    return float(np.abs(shares[0] - shares[1]) @ np.diff(places))


def identity_kept(predicted: Int[np.ndarray, "n t"]) -> float:
    """Share of the frames in which a classifier reads what it reads most often in their clip; the mean over clips.

    ValueError for none.
    """
    if not predicted.size:
        raise ValueError("identity needs at least one frame of one clip")
    answers = np.stack([(predicted == answer).mean(axis=1) for answer in np.unique(predicted)])
    return float(answers.max(axis=0).mean())


def flicker(output: Clips, reference: UInt8[np.ndarray, "m s y x k"]) -> Flicker:
    """How much more an output changes from frame to frame than its reference does where that stands still.

    Still are pixels that change by at most 2 levels. ValueError for clips of another shape, of one frame, or in which
    nothing stands still.
    """
    if output.shape != reference.shape or output.shape[1] < 2:
        raise ValueError(f"expected two sets of clips of one shape, got {output.shape} and {reference.shape}")
    sums, still = np.zeros(2), 0
    for pair in zip(output, reference):
        changes = [np.abs(np.diff(clip.astype(np.float64), axis=0)) for clip in pair]
        mask = changes[1] <= STILL
        sums += [change[mask].sum() for change in changes]
        still += int(mask.sum())
    if not still:
        raise ValueError("nothing stands still in the reference")
    return Flicker(float(sums[0] / still), float(sums[1] / still), still)


def changes(clips: Clips) -> Int[np.ndarray, "n 256"]:
    """How many pixels of each clip change by so many levels, from 0 to 255, from one frame to the next."""
    steps = (np.abs(np.diff(clip.astype(np.int16), axis=0)).ravel() for clip in clips)
    return np.stack([np.bincount(each, minlength=256) for each in steps])


def stillest(counts: Int[np.ndarray, " 256"], share: float) -> float:
    """Mean change, in levels, of the `share` of all pixels that changes least; `counts` as of `changes`.

    Without a reference for each clip it tells flicker from motion. ValueError for a share of nothing.
    """
    taken = np.diff(np.minimum(np.cumsum(counts), share * counts.sum()), prepend=0.0)
    if not taken.sum():
        raise ValueError("flicker needs at least one pixel")
    return float(taken @ np.arange(256) / taken.sum())


def _masks(clips: np.ndarray) -> np.ndarray:
    """Soft masks `[n,t,h+4,w+4]`: brightness, weighed 1 2 1 along both axes, above the threshold; black is around."""
    smooth = np.pad(clips.mean(axis=4), ((0, 0), (0, 0), (2, 2), (2, 2)))
    for axis in (2, 3):
        smooth = (2 * smooth + np.roll(smooth, 1, axis) + np.roll(smooth, -1, axis)) / 4  # what wraps around is black
    return np.maximum(smooth - THRESHOLD * smooth.max(axis=(1, 2, 3), keepdims=True), 0.0)


def _median(values: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """The median over the frames in which something is seen; 0 where it is in none."""
    return np.array([np.median(row[mask]) if mask.any() else 0.0 for row, mask in zip(values, seen)])


def _fit(places: Float[np.ndarray, "n t"], room: Float[np.ndarray, "n 2"]) -> Float64[np.ndarray, " n"]:
    """Mean square distance of one coordinate from the nearest path that is straight between turns at the edges.

    Such a path is a + b s(turns t + phase) with a triangle wave s, whose turns lie where the room ends. Of the four
    numbers a and b come from least squares; the others from a grid, then from finer ones around the best.
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
    """Mean squares `[n,k]` of what waves `[n or 1,k,2]` of so many turns a frame and phases leave of places `[n,t]`."""
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

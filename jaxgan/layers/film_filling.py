"""Filling holes in films from frames that show the hidden pixels, as a starting point for inpainting networks.

Pixels that no frame shows are filled from their surroundings. The functions are not meant to be differentiated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan.layers.filling import fill_holes, fill_roughly
from jaxgan.layers.flow import optical_flow
from jaxgan.layers.passage import Passage
from jaxgan.layers.repeat import fold
from jaxgan.layers.warping import warp

Filling = Literal["grey", "smooth", "median", "flow"]
Clip = Float[Array, "b _ h w c"]
Hole = Float[Array, "b _ h w 1"]
Filled = tuple[Clip, Hole, Hole]  # the clip, the holes, and the parts of them that no frame has shown

NOWHERE = 1e6  # a value above all pixel values


def grey(passage: Passage, clip: Clip, hole: Hole, window: int, future: int) -> Filled:
    """Leaves the holes at 0."""
    del passage, window, future
    return clip * (1 - hole), hole, hole


def smooth(passage: Passage, clip: Clip, hole: Hole, window: int, future: int) -> Filled:
    """Fills each frame independently, see `fill_holes`."""
    del passage, window, future
    return fill_holes(clip, hole), hole, hole


def median(passage: Passage, clip: Clip, hole: Hole, window: int, future: int) -> Filled:
    """Fills a pixel with the median of its known values in `window` frames, `future` of them later: for a still camera.

    A pixel without known values in the window gets its last known value in the film. A repeated frame, such as the
    last one of a shot, counts once.
    """
    known, past = jax.lax.stop_gradient(1 - hole), window - 1 - future
    last, shown = _last_known(passage, jax.lax.stop_gradient(clip), known)
    late = passage.late
    seen = _without_repeats(passage, jax.lax.stop_gradient(clip), known)
    around = passage.window(seen, "median", past, future)
    length, own = around.shape[1] - window + 1, seen.shape[1] - passage.copies
    if passage.whole and own - 1 <= future and seen.shape[1] <= window:  # all windows are equal: one median
        frames = [seen[:, index : index + 1] for index in range(own)]
    else:
        frames = [around[:, start : start + length] for start in range(window)]
    middle, any_known = _median([each[..., :-1] for each in frames], [each[..., -1:] for each in frames])
    last, shown, clip, hole = (
        passage.caught_up(each, f"median_{name}", late)
        for name, each in (("last", last), ("shown", shown), ("clip", clip), ("hole", hole))
    )
    found = jnp.where(any_known, middle, last)
    return _finished(clip, hole, found, jnp.maximum(shown, any_known))


def flow(passage: Passage, clip: Clip, hole: Hole, window: int, future: int) -> Filled:
    """Fills each frame by copying from the filled frame before it along the optical flow: for a moving camera."""
    del window, future
    clip, hole = jax.lax.stop_gradient((clip, hole))
    before = passage.recall("flow")
    start = (jnp.zeros_like(clip[:, 0]), jnp.zeros_like(hole[:, 0])) if before is None else before

    def step(before: tuple[Array, Array], now: tuple[Array, Array]) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        frame, known = now
        moved = optical_flow(frame, known, *before)
        copied = warp(jnp.concatenate(before, axis=-1), moved)
        shown = jnp.clip(2 * copied[..., -1:] - 1, 0.0, 1.0)  # less than half known counts as unknown
        after = (known * frame + (1 - known) * copied[..., :-1], jnp.maximum(known, shown))
        return after, after

    frames = (jnp.moveaxis(clip, 1, 0), jnp.moveaxis(1 - hole, 1, 0))
    after, (copied, shown) = fold(step, start, frames, unroll_on_cpu=False)
    passage.keep("flow", after)
    return _finished(clip, hole, jnp.moveaxis(copied, 0, 1), jnp.moveaxis(shown, 0, 1))


FILLINGS: dict[str, Callable[[Passage, Clip, Hole, int, int], Filled]] = {
    "grey": grey,
    "smooth": smooth,
    "median": median,
    "flow": flow,
}


def _finished(clip: Clip, hole: Hole, found: Clip, shown: Hole) -> Filled:
    """The clip with `found` in its holes; parts that no frame has shown are filled from their surroundings."""
    unseen = hole * (1 - shown)
    return fill_roughly(jnp.where(hole > 0, found, clip), unseen), hole, unseen


def _without_repeats(passage: Passage, clip: Clip, known: Hole) -> Float[Array, "b _ h w c1"]:
    """The known pixels of each frame and their mask; all zero for a frame that repeats the frame before it."""
    seen = jnp.concatenate([clip * known, known], axis=-1)
    around = passage.window(seen, "repeats", 1, 0)
    again = jnp.all(around[:, 1:] == around[:, :-1], axis=(2, 3, 4), keepdims=True)
    return jnp.where(again, jnp.zeros((), seen.dtype), seen)


def _last_known(passage: Passage, clip: Clip, known: Hole) -> tuple[Clip, Hole]:
    """The last known value of each pixel up to each frame, and a mask of the pixels that have one."""
    before = passage.recall("last")
    last, shown = (jnp.zeros_like(clip[:, 0]), jnp.zeros_like(known[:, 0])) if before is None else before
    lasts, shows = [], []
    for index in range(clip.shape[1]):
        last = jnp.where(known[:, index] > 0, clip[:, index], last)
        shown = jnp.maximum(shown, known[:, index])
        lasts.append(last)
        shows.append(shown)
    passage.keep("last", (last, shown))
    return jnp.stack(lasts, axis=1), jnp.stack(shows, axis=1)


def _median(frames: list[Array], known: list[Array]) -> tuple[Array, Array]:
    """The elementwise median of the known values of some arrays, 0 if none is known; and a mask of where any is (as 1).

    Uses a sorting network: on CPU, sorting along an axis costs many times as much.
    """
    values = [jnp.where(each > 0, frame, NOWHERE) for frame, each in zip(frames, known)]
    for low, high in _comparisons(len(values)):
        values[low], values[high] = jnp.minimum(values[low], values[high]), jnp.maximum(values[low], values[high])
    count = sum(known)
    first, second = (count - 1) // 2, count // 2
    zero = jnp.zeros_like(values[0])
    middle = sum(
        jnp.where(first == index, value, zero) + jnp.where(second == index, value, zero)
        for index, value in enumerate(values)
    )
    return jnp.where(count > 0, middle / 2, zero), jnp.minimum(count, 1)


def _comparisons(count: int) -> Iterator[tuple[int, int]]:
    """The comparisons of Batcher's odd-even merge sort of `count` values (Knuth, volume 3, algorithm 5.2.2M)."""
    size = 1
    while size < count:
        step = size
        while step:
            for start in range(step % size, count - step, 2 * step):
                for low in range(start, min(start + step, count - step)):
                    if low // (2 * size) == (low + step) // (2 * size):
                        yield low, low + step
            step //= 2
        size *= 2

"""Random masks for inpainting: float32, `[B,H,W,1]` for images, `[B,T,H,W,1]` for clips, 1 where pixels are missing.

Lengths are fractions of the shorter side, so masks look the same at every resolution; the published lengths are for
256 pixels. Strokes follow Yu et al. 2019 ("Free-form image inpainting with gated convolution") with the constants of
Suvorov et al. 2022 ("LaMa"); the boxes are LaMa's too.
"""

from __future__ import annotations

import math
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxgan.errors import UserError

Mask = Float[Array, "b h w 1"]
Kind = Literal["strokes", "boxes", "half", "borders", "mixed"]
MOVABLE = ("strokes", "boxes")
Path = Float[Array, "b t 2"]

STROKES, SEGMENTS, BOXES = 5, 5, 4  # largest numbers of strokes an image, segments a stroke and boxes an image
ANGLES = (0.01, 4.0)  # radians
LENGTHS = (10 / 256, 210 / 256)  # of a segment
WIDTHS = (5 / 256, 105 / 256)  # of a segment
SIDES = (30 / 256, 150 / 256)  # of a box
MARGIN = 10 / 256  # around boxes
BORDERS = (0.04, 0.25)  # of a side
SPEEDS, TURN = (0.005, 0.05), 0.01  # speed of moving masks, a frame; deviation of its change a frame, by axis
MIXED = {"strokes": 0.4, "boxes": 0.4, "half": 0.1, "borders": 0.1}


def random_masks(
    key: Array, batch: int, height: int, width: int, kind: Kind, *, widths: tuple[float, float] = WIDTHS
) -> Mask:
    """Masks of one kind, or of a random kind for each image (`mixed`); `widths` is the range of stroke widths."""
    if kind != "mixed":
        return _masks(key, batch, height, width, kind, widths)
    kind_key, key = jax.random.split(key)
    choice = jax.random.categorical(kind_key, jnp.log(jnp.array(list(MIXED.values()))), shape=(batch,))
    keys = jax.random.split(key, len(MIXED))
    masks = jnp.stack([_masks(each, batch, height, width, name, widths) for each, name in zip(keys, MIXED)])
    chosen = choice == jnp.arange(len(MIXED))[:, None]
    return jnp.where(chosen[..., None, None, None], masks, 0.0).sum(axis=0)


def moving_masks(
    key: Array, batch: int, frames: int, height: int, width: int, kind: Kind, *, widths: tuple[float, float] = WIDTHS
) -> Float[Array, "b t h w 1"]:
    """Masks of clips: strokes or boxes, moved together along one random walk a clip (see `_random_walks`).

    Raises UserError for any other kind.
    """
    if kind not in MOVABLE:
        raise UserError(f"moving masks: got {kind}, expected one of {', '.join(MOVABLE)}")
    walk_key, key = jax.random.split(key)
    path = _random_walks(walk_key, batch, frames)
    if kind == "strokes":
        hidden = strokes(key, batch, height, width, widths, path)
    else:
        hidden = boxes(key, batch, height, width, path)
    return hidden.reshape(batch, frames, height, width, 1).astype(jnp.float32)


def strokes(
    key: Array,
    batch: int,
    height: int,
    width: int,
    widths: tuple[float, float] = WIDTHS,
    path: Path | None = None,
) -> Bool[Array, "b2 h w"]:
    """One to five polylines of one to five segments, each segment with its own width.

    `path`: their displacement in each frame of a clip; the result then has `batch * t` rows, clip by clip.
    """
    extent = _extent(height, width)
    count_key, start_key, angle_key, length_key, width_key = jax.random.split(key, 5)
    shape = (batch, STROKES, SEGMENTS)
    most = jnp.array([STROKES] + [SEGMENTS] * STROKES)
    counts = jax.random.randint(count_key, (batch, 1 + STROKES), 1, most + 1)
    drawn = (jnp.arange(STROKES) < counts[:, :1])[..., None] & (jnp.arange(SEGMENTS) < counts[:, 1:, None])
    angle = jax.random.uniform(angle_key, shape, minval=ANGLES[0], maxval=ANGLES[1])
    angle = jnp.where(jnp.arange(STROKES)[:, None] % 2 == 0, -angle, angle)  # every other stroke turns the other way
    length = jax.random.uniform(length_key, shape, minval=LENGTHS[0], maxval=LENGTHS[1])
    steps = length[..., None] * jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=-1)
    points = [jax.random.uniform(start_key, (batch, STROKES, 2)) * extent]
    for segment in range(SEGMENTS):
        points.append(jnp.clip(points[-1] + steps[:, :, segment], 0.0, extent))
    radius = jax.random.uniform(width_key, shape, minval=widths[0], maxval=widths[1]) / 2
    flat = (batch, STROKES * SEGMENTS)
    starts, ends = (jnp.stack(each, axis=2).reshape(*flat, 2) for each in (points[:-1], points[1:]))
    radius = jnp.where(drawn, radius, -1.0).reshape(flat)
    if path is not None:
        starts, ends, radius = _moved(starts, path), _moved(ends, path), radius.repeat(path.shape[1], axis=0)
    return near_segments(starts, ends, radius, height, width)


def boxes(key: Array, batch: int, height: int, width: int, path: Path | None = None) -> Bool[Array, "b2 h w"]:
    """One to four boxes, which may overlap, at a distance from the border; `path` as in `strokes`."""
    count_key, side_key, place_key = jax.random.split(key, 3)
    drawn = jnp.arange(BOXES) < jax.random.randint(count_key, (batch, 1), 1, BOXES + 1)
    sides = jax.random.uniform(side_key, (batch, BOXES, 2), minval=SIDES[0], maxval=SIDES[1])
    room = _extent(height, width) - sides - 2 * MARGIN
    first = MARGIN + jax.random.uniform(place_key, sides.shape) * room
    last = first + jnp.where(drawn[..., None], sides, -1.0)
    if path is not None:
        first, last = _moved(first, path), _moved(last, path)
    inside = [
        (place > first[..., axis, None]) & (place < last[..., axis, None])
        for axis, place in enumerate(_places(height, width))
    ]
    return (inside[0][..., :, None] & inside[1][..., None, :]).any(axis=1)


def halves(key: Array, batch: int, height: int, width: int) -> Bool[Array, "b h w"]:
    """The left, right, upper or lower half."""
    across, after = jax.random.bernoulli(key, shape=(2, batch))
    rows, columns = ((jnp.arange(side) + 0.5 > side / 2) == after[:, None] for side in (height, width))
    return jnp.where(across[:, None, None], columns[:, None, :], rows[:, :, None])


def borders(key: Array, batch: int, height: int, width: int) -> Bool[Array, "b h w"]:
    """Borders for outpainting: one side always, each of the other sides with probability 1/2."""
    hit_key, sure_key, size_key = jax.random.split(key, 3)
    sure = jax.random.randint(sure_key, (batch,), 0, 4)
    hits = jax.random.bernoulli(hit_key, shape=(4, batch)) | (jnp.arange(4)[:, None] == sure)
    sizes = jnp.where(hits, jax.random.uniform(size_key, (4, batch), minval=BORDERS[0], maxval=BORDERS[1]), 0.0)
    places = [(jnp.arange(side) + 0.5) / side for side in (height, width)]
    rows, columns = (
        (place < sizes[2 * axis][:, None]) | (place > 1.0 - sizes[2 * axis + 1][:, None])
        for axis, place in enumerate(places)
    )
    return rows[:, :, None] | columns[:, None, :]


def near_segments(starts: Array, ends: Array, radius: Array, height: int, width: int) -> Bool[Array, "b h w"]:
    """Pixels within a radius `[b,n]` of a segment between points `[b,n,2]`; a negative radius covers no pixels."""
    y, x = _places(height, width)
    from_start = [
        y[:, None] - starts[..., 0, None, None],
        x[None, :] - starts[..., 1, None, None],
    ]
    step = [(ends - starts)[..., axis, None, None] for axis in (0, 1)]
    along = sum(a * b for a, b in zip(from_start, step)) / jnp.maximum(sum(jnp.square(b) for b in step), 1e-12)
    along = jnp.clip(along, 0.0, 1.0)
    squared = sum(jnp.square(a - along * b) for a, b in zip(from_start, step))
    return (squared <= (radius * jnp.abs(radius))[..., None, None]).any(axis=1)


def _masks(key: Array, batch: int, height: int, width: int, kind: str, widths: tuple[float, float]) -> Mask:
    if kind == "strokes":
        hidden = strokes(key, batch, height, width, widths)
    else:
        hidden = {"boxes": boxes, "half": halves, "borders": borders}[kind](key, batch, height, width)
    return hidden[..., None].astype(jnp.float32)


def _random_walks(key: Array, batch: int, frames: int) -> Path:
    """Random walks from 0 in a random direction, reflected at +-1/2 on each axis; in units of the shorter side."""
    angle_key, speed_key, turn_key = jax.random.split(key, 3)
    angle = jax.random.uniform(angle_key, (batch, 1), maxval=2 * math.pi)
    speed = jax.random.uniform(speed_key, (batch, 1, 1), minval=SPEEDS[0], maxval=SPEEDS[1])
    turns = TURN * jax.random.normal(turn_key, (batch, frames, 2)).at[:, 0].set(0.0)
    speeds = speed * jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=-1) + jnp.cumsum(turns, axis=1)
    places = jnp.cumsum(speeds, axis=1) - speeds[:, :1]
    return jnp.abs((places - 0.5) % 2 - 1) - 0.5


def _moved(points: Float[Array, "b n 2"], path: Path) -> Float[Array, "b2 n 2"]:
    return (points[:, None] + path[:, :, None]).reshape(-1, *points.shape[1:])


def _extent(height: int, width: int) -> Array:
    return jnp.array([height, width], jnp.float32) / min(height, width)


def _places(height: int, width: int) -> tuple[Array, Array]:
    """The centres of rows and columns."""
    return tuple((jnp.arange(side) + 0.5) / min(height, width) for side in (height, width))  # type: ignore[return-value]

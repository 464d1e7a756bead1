"""Tiled application of a network to pictures of any size, with few tile shapes and the result of the whole picture.

Where a tile meets the border of the picture, its border is the picture's, so that a convolution pads as it would for
the whole picture. Elsewhere tiles overlap, and pixels whose receptive field is not inside the tile are not used.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

BUCKETS = tuple(sorted(2**n * m // 2 for n in range(4, 14) for m in (2, 3)))  # 16, 24, 32, 48, ...: sides of tiles
MOST_AT_ONCE = 64  # maximum number of tiles in a batch

Network = Callable[[np.ndarray], ArrayLike]  # [B,h,w,C] float32 -> [B,sh,sw,C'] float32
Done = Callable[[np.ndarray], None]  # gets the result of a tile, [sh,sw,C'] float32


class Cut(NamedTuple):
    """One side of a picture, cut into tiles."""

    length: int  # pixels; a shorter picture is extended to it by reflection
    tile: int
    starts: tuple[int, ...]
    halo: int  # pixels at an inner edge of a tile that are not used


@dataclasses.dataclass(frozen=True)
class Tiling:
    """How pictures are cut into tiles.

    `tile` is the longest side of a tile in pixels. Neighbours overlap by `overlap` (None: by twice the receptive field
    if that is at most half a tile, else by a quarter of a tile). If the overlap is at least twice the receptive field,
    the result is exact; otherwise neighbours are blended. `receptive_field` is how far a pixel sees to each side;
    None: over the whole picture. The positions and sides of tiles are multiples of `multiple`. Tiles are as small as
    their number allows, except with `coarse`: then pictures smaller than a tile are also cut or extended, so that few
    shapes are compiled for many picture sizes.
    """

    tile: int
    receptive_field: int | None = None
    overlap: int | None = None
    multiple: int = 1
    coarse: bool = False

    def cut(self, length: int) -> Cut:
        """The tiles along a side of `length` pixels."""
        unit = self.multiple
        longest = max(unit, self.tile // unit * unit)
        tile, length = min(longest, _up(length, unit)), _up(length, unit)
        if self.coarse and tile < longest:
            fitting = [side for side in BUCKETS if side <= length and side % unit == 0]
            if fitting and self.receptive_field is not None:
                tile = fitting[-1]
            else:
                tile = next((side for side in BUCKETS if side >= length and side % unit == 0), length)
                length = tile = min(tile, longest)
        overlap = self._overlap(tile)
        if tile == length:
            return Cut(length, tile, (0,), 0)
        count = -(-(length - overlap) // (tile - overlap))
        if not self.coarse:
            tile = _up(-(-(length + (count - 1) * overlap) // count), unit)  # the smallest tile for this number
        starts = tuple(i * ((length - tile) // unit) // (count - 1) * unit for i in range(count))
        return Cut(length, tile, starts, self._halo(overlap))

    def _overlap(self, tile: int) -> int:
        seen = tile if self.receptive_field is None else 2 * self.receptive_field
        wanted = (seen if seen <= tile // 2 else tile // 4) if self.overlap is None else self.overlap
        return min(_up(wanted, self.multiple), tile - self.multiple)

    def _halo(self, overlap: int) -> int:
        if self.receptive_field is not None and 2 * self.receptive_field <= overlap:
            return self.receptive_field
        # distant pixels matter little, so a large distance from the border is better than a long blend
        return 3 * overlap // 8


class Mosaic:
    """Combines the tiles of one picture and passes its rows on as soon as they are complete."""

    def __init__(self, rows: Cut, columns: Cut, *, scale: int, keep: Callable[[int, np.ndarray], None]):
        """`keep(top, values)` gets rows `[n,W*scale,C]`, float32, from row `top` on, in order."""
        self._rows, self._columns, self._scale, self._keep = rows, columns, scale, keep
        self._down, self._across = weights(rows, scale), weights(columns, scale)
        self._done, self._strip = 0, np.zeros((0, 0, 0), np.float32)
        self.count = len(rows.starts) * len(columns.starts)

    def places(self) -> Iterator[tuple[slice, slice]]:
        """Rows and columns of the picture under each tile, in the order that `put` expects."""
        for top in self._rows.starts:
            for left in self._columns.starts:
                yield slice(top, top + self._rows.tile), slice(left, left + self._columns.tile)

    def put(self, values: np.ndarray) -> None:
        """Add the next tile, `[sh,sw,C]` float32."""
        scale = self._scale
        if self.count == 1:
            self._keep(0, values)
            return
        if not self._strip.size:
            shape = (self._rows.tile * scale, self._columns.length * scale, values.shape[2])
            self._strip = np.zeros(shape, np.float32)
        row, column = divmod(self._done, len(self._columns.starts))
        left = self._columns.starts[column] * scale
        share = self._down[row][:, None] * self._across[column]
        self._strip[:, left : left + len(self._across[column])] += values * share[..., None]
        self._done += 1
        if column + 1 == len(self._columns.starts):
            self._hand_on(row)

    def _hand_on(self, row: int) -> None:
        """Pass on the rows that no later tile touches."""
        starts = self._rows.starts
        following = starts[row + 1] if row + 1 < len(starts) else starts[row] + self._rows.tile
        finished = (following - starts[row]) * self._scale
        self._keep(starts[row] * self._scale, self._strip[:finished])
        self._strip[:-finished] = self._strip[finished:]
        self._strip[len(self._strip) - finished :] = 0.0


class Batches:
    """Collects tiles of any pictures and runs those of the same shape together."""

    def __init__(self, network: Network, *, pixels: int, batch_size: int | None = None):
        """`batch_size` None: tiles of `pixels` pixels in all. Remaining tiles run in batches of powers of two."""
        self._network, self._pixels, self._batch_size = network, pixels, batch_size
        self._waiting: dict[tuple[int, ...], list[tuple[np.ndarray, Done]]] = {}

    def add(self, tile: np.ndarray, done: Done) -> None:
        """Add a tile `[h,w,C]`; `done` gets its result. Tiles of one shape are done in the order of adding."""
        waiting = self._waiting.setdefault(tile.shape, [])
        waiting.append((tile, done))
        if len(waiting) >= self._full(tile.shape):
            self._run(tile.shape)

    def flush(self) -> None:
        """Run the remaining tiles."""
        for shape in tuple(self._waiting):
            self._run(shape)

    def _full(self, shape: tuple[int, ...]) -> int:
        if self._batch_size is not None:
            return self._batch_size
        room = max(1, self._pixels // (shape[0] * shape[1]))
        return min(MOST_AT_ONCE, 2 ** int(math.log2(room)))

    def _run(self, shape: tuple[int, ...]) -> None:
        waiting = self._waiting.pop(shape)
        size = min(self._full(shape), 2 ** (len(waiting) - 1).bit_length())
        tiles = [tile for tile, _ in waiting]
        outputs = np.asarray(self._network(np.stack(tiles + tiles[-1:] * (size - len(tiles)))))
        for (_, done), output in zip(waiting, outputs):
            done(output)


def tiled(
    network: Network, image: np.ndarray, tiling: Tiling, *, scale: int, batch_size: int | None = None
) -> np.ndarray:
    """Apply a network in tiles to an image `[H,W,C]`, float32; returns `[scale*H,scale*W,C']`.

    `batch_size` tiles are computed at once (None: as many as have the pixels of one tile of the longest side).
    """
    height, width = image.shape[:2]
    parts: list[np.ndarray] = []
    mosaic = Mosaic(
        tiling.cut(height), tiling.cut(width), scale=scale, keep=lambda _, values: parts.append(values.copy())
    )
    batches = Batches(network, pixels=tiling.tile**2, batch_size=batch_size)
    for rows, columns in mosaic.places():
        batches.add(continued(image, rows, columns), mosaic.put)
    batches.flush()
    return np.concatenate(parts)[: height * scale, : width * scale]


def continued(image: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
    """The part `[h,w,C]` of an image at these rows and columns; past its end it is mirrored at the outermost pixels."""
    height, width = image.shape[:2]
    if rows.stop <= height and columns.stop <= width:
        return image[rows, columns]
    return image[np.ix_(_mirrored(rows, height), _mirrored(columns, width))]


def weights(cut: Cut, scale: int) -> list[np.ndarray]:
    """The blending weights `[tile*scale]` of each tile, after enlarging; the weights for a pixel sum to one.

    Two neighbours are blended linearly over the pixels that are used of both.
    """
    rises = []
    pixels = np.arange(cut.length * scale) + 0.5
    for before, after in itertools.pairwise(cut.starts):
        begin, end = (after + cut.halo) * scale, (before + cut.tile - cut.halo) * scale
        rise = (pixels - begin) / (end - begin) if end > begin else np.where(pixels > begin, 1.0, 0.0)
        rises.append(np.clip(rise, 0.0, 1.0))
    levels = [np.ones(len(pixels)), *rises, np.zeros(len(pixels))]
    shares = [now - then for now, then in itertools.pairwise(levels)]
    places = [slice(start * scale, (start + cut.tile) * scale) for start in cut.starts]
    return [share[place].astype(np.float32) for share, place in zip(shares, places)]


def _up(length: int, unit: int) -> int:
    return -(-length // unit) * unit


def _mirrored(places: slice, length: int) -> np.ndarray:
    period = max(1, 2 * (length - 1))
    index = np.arange(places.start, places.stop) % period
    return np.where(index < length, index, period - index)

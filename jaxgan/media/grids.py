"""Grids of images, with labels for rows and columns."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw, ImageFont

from jaxgan.media.images import opaque, save_image, to_uint8
from jaxgan.media.provenance.origin import Origin

LEGIBLE = 64  # pixels: smaller images are enlarged by an integer factor to at least this height
PADDING = 2  # pixels between images
MARGIN = 6  # pixels around a label
PAPER, INK = 255, 40  # grey levels
FONT_SIZES = (12, 22)


def make_grid(
    images: ArrayLike,
    *,
    columns: int,
    row_labels: Sequence[str] | None = None,
    column_labels: Sequence[str] | None = None,
    scale: int | None = None,
) -> np.ndarray:
    """Arranges images `[N, H, W, C]` (float in [-1, 1] or uint8) row by row; uint8 `[height, width, 1 or 3]`.

    Of clips `[N, T, H, W, C]` each fills one row with its frames, and each row label covers `columns` clips.
    `scale` enlarges by an integer factor without smoothing (None: to a height of at least 64 pixels). Transparent
    pixels are composited onto white. Raises ValueError if there are no images, or if the number of labels differs
    from the number of rows or columns.
    """
    tiles = opaque(to_uint8(images))
    if tiles.ndim == 5:
        row_labels = None if row_labels is None else [label for label in row_labels for _ in range(columns)]
        columns, tiles = tiles.shape[1], tiles.reshape(-1, *tiles.shape[2:])
    if tiles.ndim != 4 or not len(tiles) or columns < 1:
        raise ValueError(
            f"got images of shape {tiles.shape} in {columns} columns, expected [N, H, W, C] in at least one column"
        )
    rows = -(-len(tiles) // columns)
    for kind, labels, count in (("row", row_labels, rows), ("column", column_labels, columns)):
        if labels is not None and len(labels) != count:
            raise ValueError(f"got {len(labels)} {kind} labels, expected {count}, one for each {kind}")
    if scale is None:
        scale = max(1, -(-LEGIBLE // tiles.shape[1]))
    tiles = tiles.repeat(scale, axis=1).repeat(scale, axis=2)
    font = _font(tiles.shape[1] // 4, column_labels or (), tiles.shape[2])
    grid = _tiled(tiles, rows, columns)
    return _labelled(grid, tiles.shape[1:3], row_labels or (), column_labels or (), font)


def make_film(clips: ArrayLike, *, columns: int, row_labels: Sequence[str] | None = None) -> np.ndarray:
    """Arranges clips `[N, T, H, W, C]` as `make_grid` arranges images; uint8 `[T, height, width, 1 or 3]`."""
    frames = np.moveaxis(to_uint8(clips), 1, 0)
    return np.stack([make_grid(frame, columns=columns, row_labels=row_labels) for frame in frames])


def save_grid(
    images: ArrayLike,
    path: str | os.PathLike[str],
    *,
    columns: int,
    row_labels: Sequence[str] | None = None,
    column_labels: Sequence[str] | None = None,
    scale: int | None = None,
    origin: Origin | None = None,
) -> tuple[str, ...]:
    """Makes a grid with `make_grid` and writes it with `save_image`."""
    grid = make_grid(images, columns=columns, row_labels=row_labels, column_labels=column_labels, scale=scale)
    return save_image(grid, path, origin)


def _tiled(tiles: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """The tiles `[N, h, w, C]` side by side, with padding between and around them."""
    count, height, width, channels = tiles.shape
    blank = np.full((rows * columns - count, height, width, channels), PAPER, np.uint8)
    cells = np.concatenate([tiles, blank])
    cells = np.pad(cells, ((0, 0), (0, PADDING), (0, PADDING), (0, 0)), constant_values=PAPER)
    cells = cells.reshape(rows, columns, *cells.shape[1:]).transpose(0, 2, 1, 3, 4)
    grid = cells.reshape(rows * (height + PADDING), columns * (width + PADDING), channels)
    return np.pad(grid, ((PADDING, 0), (PADDING, 0), (0, 0)), constant_values=PAPER)


def _labelled(
    grid: np.ndarray,
    tile: tuple[int, int],
    row_labels: Sequence[str],
    column_labels: Sequence[str],
    font: ImageFont.FreeTypeFont,
) -> np.ndarray:
    """The grid with row labels in a left margin and column labels in a top margin."""
    channels = grid.shape[-1]
    left = max((int(font.getlength(label)) for label in row_labels), default=-2 * MARGIN) + 2 * MARGIN
    top = int(font.size) + 2 * MARGIN if column_labels else 0
    pixels = np.pad(grid, ((top, 0), (left, 0), (0, 0)), constant_values=PAPER)
    picture = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    draw = ImageDraw.Draw(picture)
    ink = INK if channels == 1 else (INK, INK, INK)
    height, width = tile[0] + PADDING, tile[1] + PADDING
    for row, label in enumerate(row_labels):
        y = top + PADDING + row * height + tile[0] / 2
        draw.text((left - MARGIN, y), label, font=font, fill=ink, anchor="rm")
    for column, label in enumerate(column_labels):
        x = left + PADDING + column * width + tile[1] / 2
        draw.text((x, top / 2), _shortened(label, tile[1], font), font=font, fill=ink, anchor="mm")
    return np.asarray(picture).reshape(pixels.shape)


def _font(size: int, labels: Sequence[str], width: int) -> ImageFont.FreeTypeFont:
    """The largest font up to `size` in which every label fits `width`; the smallest font if none fits."""
    least, most = FONT_SIZES
    sizes = range(least, int(np.clip(size, least, most)) + 1)
    fonts: list[Any] = [ImageFont.load_default(size=each) for each in sizes]  # FreeType's where Pillow has FreeType
    fitting = [font for font in fonts if all(font.getlength(label) <= width for label in labels)]
    return (fitting or fonts[:1])[-1]


def _shortened(label: str, width: int, font: ImageFont.FreeTypeFont) -> str:
    """The label, cut to the width of its column."""
    if font.getlength(label) <= width:
        return label
    while label and font.getlength(label + "..") > width:
        label = label[:-1]
    return label + ".."

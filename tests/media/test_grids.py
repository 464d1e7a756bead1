"""Grids of samples with labels."""

import numpy as np
import pytest
from PIL import Image

from jaxgan.media.grids import PADDING, make_film, make_grid, save_grid


def images(count, channels=1, side=4):
    return np.random.default_rng(0).integers(0, 200, (count, side, side, channels), dtype=np.uint8)


def cell(grid, row, column, side):
    """The pixels of one cell of a grid, counted from the lower right corner, which has no labels."""
    step = side + PADDING
    return grid[PADDING + row * step :, PADDING + column * step :][:side, :side]


@pytest.mark.parametrize("channels", [1, 3])
def test_images_lie_row_by_row_enlarged_without_smoothing(channels):
    tiles = images(5, channels)
    grid = make_grid(tiles, columns=3, scale=2)
    assert grid.dtype == np.uint8
    assert grid.shape == (2 * 10 + 2, 3 * 10 + 2, channels)
    for index in range(5):
        assert np.array_equal(cell(grid, *divmod(index, 3), 8), np.kron(tiles[index], np.ones((2, 2, 1))))
    assert (cell(grid, 1, 2, 8) == 255).all()


@pytest.mark.parametrize(("channels", "drawn"), [(1, 1), (2, 1), (3, 3), (4, 3)])
def test_one_to_four_channels(channels, drawn):
    assert make_grid(images(2, channels), columns=2).shape[-1] == drawn


def test_small_images_are_enlarged_to_be_seen_and_large_ones_kept():
    assert make_grid(images(1, side=28), columns=1).shape[0] == 3 * 28 + 2 * PADDING
    assert make_grid(images(1, side=64), columns=1).shape[0] == 64 + 2 * PADDING


@pytest.mark.parametrize("channels", [1, 3])
def test_labels_get_margins_and_leave_the_images_alone(channels):
    tiles = images(4, channels, side=32)
    plain = make_grid(tiles, columns=2)
    grid = make_grid(tiles, columns=2, row_labels=["zero", "one"], column_labels=["a", "a label far too long"])
    height, width = plain.shape[:2]
    assert grid.shape[0] > height
    assert grid.shape[1] > width
    assert np.array_equal(grid[-height:, -width:], plain)
    left, above = grid[-height:, :-width], grid[:-height, -width:]
    for margin in (left[: height // 2], left[height // 2 :], above[:, : width // 2], above[:, width // 2 :]):
        assert (margin < 100).any(), "no label is seen"
    assert (left[:, 0] == 255).all(), "a label touches the border"


def test_wrong_numbers_are_refused():
    with pytest.raises(ValueError, match="got 1 row labels, expected 2"):
        make_grid(images(4), columns=2, row_labels=["a"])
    with pytest.raises(ValueError, match="got 3 column labels, expected 2"):
        make_grid(images(4), columns=2, column_labels=["a", "b", "c"])
    with pytest.raises(ValueError, match="got images of shape"):
        make_grid(images(0), columns=2)


def test_saved_grid_is_the_grid(tmp_path):
    tiles = np.linspace(-1, 1, 4 * 16).reshape(4, 4, 4, 1)
    save_grid(tiles, tmp_path / "grid.png", columns=2, row_labels=["x", "y"])
    with Image.open(tmp_path / "grid.png") as picture:
        assert np.array_equal(np.asarray(picture)[..., None], make_grid(tiles, columns=2, row_labels=["x", "y"]))


def test_a_film_is_a_grid_of_each_frame():
    clips = images(4 * 3).reshape(4, 3, *images(1).shape[1:])
    film = make_film(clips, columns=2, row_labels=["x", "y"])
    assert len(film) == 3
    for index, frame in enumerate(film):
        np.testing.assert_array_equal(frame, make_grid(clips[:, index], columns=2, row_labels=["x", "y"]))


def test_labels_that_are_too_wide_have_smaller_letters():
    heights = [
        make_grid(np.zeros((1, 144, 144, 3), np.uint8), columns=1, column_labels=[label]).shape[0]
        for label in ("mean", "temporal_median", "temporal_median_of_more_frames_than_fit")
    ]
    assert heights[0] > heights[1] > heights[2]

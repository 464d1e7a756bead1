"""Tiles: the result is that of the whole picture, in few shapes, full batches, and strips."""

import itertools

import numpy as np
import pytest
from scipy import ndimage

from jaxgan.inference.tiling import Batches, Mosaic, Tiling, continued, tiled, weights

REACH = 4  # of `network`


def network(tiles):
    """Two layers that pad with zeros, as convolutions do, with a square between; enlarges twice."""
    x = ndimage.uniform_filter(tiles, (1, 5, 5, 1), mode="constant") ** 2
    x = ndimage.uniform_filter(x, (1, 5, 5, 1), mode="constant") + tiles
    return x.repeat(2, axis=1).repeat(2, axis=2).astype(np.float32)


def pooled(tiles):
    """The mean of each square of 4 pixels, for any size, as networks do that halve: mirrored to whole squares."""
    height, width = tiles.shape[1:3]
    missing = [(0, 0), (0, -height % 4), (0, -width % 4), (0, 0)]
    x = np.pad(tiles, missing, mode="reflect") if any(map(any, missing)) else tiles
    means = x.reshape(len(x), x.shape[1] // 4, 4, x.shape[2] // 4, 4, -1).mean(axis=(2, 4))
    return means.repeat(4, axis=1).repeat(4, axis=2)[:, :height, :width].astype(np.float32)


def noise(*shape):
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


class Recorded:
    """A network that remembers what shapes it was called with."""

    def __init__(self, function):
        self.function, self.shapes = function, []

    def __call__(self, tiles):
        self.shapes.append(tiles.shape)
        return self.function(tiles)


@pytest.mark.quick
@pytest.mark.parametrize(("length", "tile", "field", "multiple"), [*itertools.product(
    (1, 5, 31, 32, 33, 47, 64, 100, 257), (32, 16), (0, 3, 9, 40, None), (1, 8)
)])  # fmt: skip
def test_cuts_reach_from_border_to_border_and_overlap(length, tile, field, multiple):
    cut = Tiling(tile, field, multiple=multiple).cut(length)
    assert length <= cut.length < length + multiple
    assert cut.starts[0] == 0
    assert cut.starts[-1] + cut.tile == cut.length
    assert cut.tile <= min(tile, cut.length)
    for before, after in itertools.pairwise(cut.starts):
        assert before < after
        assert before + cut.tile - after >= 2 * cut.halo
        if field is not None and 2 * field <= tile // 2:
            assert cut.halo == field
    assert all(start % multiple == 0 for start in cut.starts)
    total = np.zeros(2 * cut.length)
    for start, share in zip(cut.starts, weights(cut, 2)):
        assert share.min() >= 0
        total[2 * start : 2 * (start + cut.tile)] += share
    np.testing.assert_allclose(total, 1.0, atol=1e-6)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("length", "multiple", "count", "side"),
    [(451, 1, 3, 193), (300, 1, 2, 182), (451, 8, 3, 200), (640, 1, 3, 256), (641, 1, 4, 209)],
)
def test_tiles_are_as_small_as_their_number_allows(length, multiple, count, side):
    """Of 256 pixels at most, that overlap by 64: the least side with count * side - 64 * (count - 1) >= length."""
    cut = Tiling(256, None, multiple=multiple).cut(length)
    assert (len(cut.starts), cut.tile) == (count, side)
    coarse = Tiling(256, None, multiple=multiple, coarse=True).cut(length)
    assert (len(coarse.starts), coarse.tile) == (count, 256)


@pytest.mark.parametrize("size", [(100, 71), (33, 32), (20, 90), (1, 1), (16, 5)])
@pytest.mark.parametrize("overlap", [None, 12])
def test_tiles_give_the_result_of_the_whole_picture(size, overlap):
    image = noise(*size, 3)
    result = tiled(network, image, Tiling(32, REACH, overlap), scale=2)
    np.testing.assert_allclose(result, network(image[None])[0], atol=1e-6)


@pytest.mark.parametrize("size", [(100, 71), (33, 32), (21, 90), (1, 1), (2, 65)])
def test_tiles_of_networks_that_halve_begin_where_squares_do(size):
    image = noise(*size, 1)
    result = tiled(pooled, image, Tiling(30, 3, multiple=4), scale=1)
    np.testing.assert_allclose(result, pooled(image[None])[0], atol=1e-6)


def test_tiles_are_blended_if_the_overlap_is_too_short():
    image = noise(200, 40, 1)

    def moody(tiles):
        """Each tile is off by something of its own, as where a network takes means over all that it sees."""
        return tiles + tiles.mean(axis=(1, 2, 3), keepdims=True)

    off = tiled(moody, image, Tiling(40, None), scale=1) - image
    steps = np.abs(np.diff(off, axis=0)).max()
    assert 0 < steps < np.ptp(off) / 4


def test_many_sizes_share_few_shapes():
    sizes = [(height, width) for height in range(16, 66, 3) for width in (17, 40, 61)]
    whole, coarse = Recorded(network), Recorded(network)
    for size in sizes:
        image = noise(*size, 1)
        expected = tiled(whole, image, Tiling(64, REACH), scale=2, batch_size=1)
        np.testing.assert_allclose(
            tiled(coarse, image, Tiling(64, REACH, coarse=True), scale=2, batch_size=1), expected, atol=1e-6
        )
    assert len(set(whole.shapes)) >= 48
    assert len(set(coarse.shapes)) <= 15


def test_tiny_pictures_and_networks_that_see_everything_are_continued():
    for tiling in (Tiling(64, REACH, coarse=True), Tiling(64, None, coarse=True)):
        recorded = Recorded(network)
        for side in range(1, 16):
            assert tiled(recorded, noise(side, 7, 1), tiling, scale=2).shape == (2 * side, 14, 1)
        assert set(recorded.shapes) == {(1, 16, 16, 1)}


def test_tiles_of_one_shape_run_in_full_batches_and_come_back_in_order():
    recorded, got = Recorded(lambda tiles: tiles * 2), []
    batches = Batches(recorded, pixels=0, batch_size=8)
    for index in range(37):
        batches.add(np.full((4, 4, 1), index, np.float32), got.append)
        if index % 5 == 0:
            batches.add(np.zeros((3, 4, 1), np.float32), lambda _: None)
    batches.flush()
    batches.flush()
    assert [tile[0, 0, 0] for tile in got] == [2 * index for index in range(37)]
    sizes = {side: [shape[0] for shape in recorded.shapes if shape[1] == side] for side in (3, 4)}
    assert sizes == {4: [8, 8, 8, 8, 8], 3: [8]}


def test_without_a_number_a_batch_has_the_pixels_of_the_largest_tile():
    recorded = Recorded(lambda tiles: tiles)
    batches = Batches(recorded, pixels=32 * 32)
    for side, count in ((32, 2), (16, 9), (1, 65)):
        for _ in range(count):
            batches.add(np.zeros((side, side, 1), np.float32), lambda _: None)
    batches.flush()
    assert [shape[:2] for shape in recorded.shapes] == [(1, 32), (1, 32), (4, 16), (4, 16), (64, 1), (1, 16), (1, 1)]


def test_rows_are_handed_on_as_soon_as_they_are_whole():
    tiling, image, kept = Tiling(32, REACH), noise(300, 40, 1), []
    mosaic = Mosaic(tiling.cut(300), tiling.cut(40), scale=2, keep=lambda top, rows: kept.append((top, rows.shape)))
    places = list(mosaic.places())
    assert len(places) == mosaic.count
    for index, place in enumerate(places):
        mosaic.put(network(continued(image, *place)[None])[0])
        assert len(kept) == (index + 1) // 2  # two tiles beside each other
    assert [top for top, _ in kept] == list(np.cumsum([0, *(shape[0] for _, shape in kept[:-1])]))
    assert sum(shape[0] for _, shape in kept) == 600
    assert max(shape[0] for _, shape in kept) <= 64


@pytest.mark.quick
@pytest.mark.parametrize("length", [1, 2, 5])
def test_beyond_its_end_an_image_is_mirrored_as_numpy_does(length):
    image = noise(length, 3, 2)
    expected = np.pad(image, ((0, 12 - length), (0, 4), (0, 0)), mode="reflect" if length > 1 else "edge")
    if length == 1:
        expected[:, 3:] = np.pad(image, ((0, 0), (0, 4), (0, 0)), mode="reflect")[:, 3:]
    np.testing.assert_array_equal(continued(image, slice(0, 12), slice(0, 7)), expected)

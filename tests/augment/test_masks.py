"""Masks: what they hide, and that it does not depend on the resolution."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from jaxgan.augment.masks import (
    BOXES,
    SPEEDS,
    STROKES,
    borders,
    boxes,
    halves,
    moving_masks,
    near_segments,
    random_masks,
    strokes,
)
from jaxgan.errors import UserError

KEY = jax.random.key(0)
KINDS = ("strokes", "boxes", "half", "borders", "mixed")
masks = jax.jit(random_masks, static_argnums=(1, 2, 3, 4), static_argnames="widths")


@pytest.mark.parametrize("kind", KINDS)
def test_masks_are_zeros_and_ones_by_key_and_row(kind):
    got = np.asarray(masks(KEY, 24, 40, 32, kind))
    assert got.shape == (24, 40, 32, 1)
    assert got.dtype == np.float32
    assert set(np.unique(got)) == {0.0, 1.0}
    np.testing.assert_array_equal(got, masks(KEY, 24, 40, 32, kind))
    assert (np.asarray(masks(jax.random.key(1), 24, 40, 32, kind)) != got).any()
    distinct = len(np.unique(got.reshape(24, -1), axis=0))
    assert distinct == 4 if kind == "half" else distinct > 16
    assert 0.05 < got.mean() < 0.7


@pytest.mark.parametrize("kind", KINDS)
def test_a_mask_looks_the_same_at_twice_the_resolution(kind):
    small, large = np.asarray(masks(KEY, 8, 32, 48, kind)), np.asarray(masks(KEY, 8, 64, 96, kind))
    reduced = large.reshape(8, 32, 2, 48, 2, 1).mean((2, 4))
    assert (np.abs(reduced - small) < 0.51).mean() > 0.98


def test_near_a_segment_is_what_is_near_one_of_its_points():
    starts, ends = jnp.array([[[0.2, 0.3], [0.9, 0.9]]]), jnp.array([[[0.8, 1.4], [0.9, 0.9]]])
    got = np.asarray(near_segments(starts, ends, jnp.array([[0.1, 0.05]]), 40, 60))[0]
    y, x = (np.mgrid[:40, :60] + 0.5) / 40
    expected = np.hypot(y - 0.9, x - 0.9) <= 0.05  # a segment of no length is a point
    for share in np.linspace(0, 1, 400):
        expected |= np.hypot(y - (0.2 + share * 0.6), x - (0.3 + share * 1.1)) <= 0.1
    assert (got != expected).mean() < 2e-3
    assert not near_segments(starts, ends, jnp.array([[-0.1, -1.0]]), 40, 60).any()


def test_strokes_are_few_and_as_wide_as_asked():
    thin, wide = (np.asarray(strokes(KEY, 30, 64, 64, widths)) for widths in ((0.05, 0.05), (0.2, 0.2)))
    assert (wide >= thin).all()
    assert wide.mean() > 2 * thin.mean()
    pieces = [ndimage.label(mask, np.ones((3, 3)))[1] for mask in thin]
    assert min(pieces) >= 1
    assert 1 < max(pieces) <= STROKES
    deepest = [ndimage.distance_transform_edt(np.pad(mask, 1)).max() for mask in thin]
    assert min(deepest) <= 0.05 / 2 * 64 + 1


def test_boxes_are_few_and_away_from_the_border():
    got = np.asarray(boxes(KEY, 30, 64, 96))
    margin = int(10 / 256 * 64)
    inner = got[:, margin:-margin, margin:-margin]
    assert inner.sum() == got.sum()
    pieces = [ndimage.label(mask)[1] for mask in got]
    assert min(pieces) >= 1
    assert 1 < max(pieces) <= BOXES
    single = [
        mask
        for mask, count in zip(got, pieces)
        if count == 1 and mask.sum() == np.outer(mask.any(1), mask.any(0)).sum()
    ]
    sides = np.array([(mask.any(1).sum(), mask.any(0).sum()) for mask in single]) / 64
    assert len(sides) > 2
    assert ((sides > 30 / 256 - 0.03) & (sides < 0.9)).all()


def test_halves_are_the_four_of_them():
    got = np.asarray(halves(KEY, 40, 8, 6))
    assert (got.sum((1, 2)) == 24).all()
    corners = {tuple(mask[[0, 0, -1, -1], [0, -1, 0, -1]]) for mask in got}
    assert corners == {(1, 0, 1, 0), (0, 1, 0, 1), (1, 1, 0, 0), (0, 0, 1, 1)}


def test_borders_leave_a_rectangle_that_holds_the_middle():
    got = np.asarray(borders(KEY, 40, 50, 60))
    for mask in got:
        rows, columns = ~mask.all(1), ~mask.all(0)
        np.testing.assert_array_equal(~mask, rows[:, None] & columns[None, :])
        assert mask.any()
        assert not mask[13:37, 16:44].any()
    hidden = np.stack([got[:, 0].all(1), got[:, -1].all(1), got[:, :, 0].all(1), got[:, :, -1].all(1)])
    assert (hidden.mean(1) > 0.4).all()
    assert (hidden.mean(1) < 0.85).all()


def test_mixed_masks_are_of_every_kind():
    got = np.asarray(partial(masks, widths=(0.05, 0.1))(KEY, 60, 32, 32, "mixed"))[..., 0].astype(bool)
    half = (got.sum((1, 2)) == 512) & (got.all(1).any(1) | got.all(2).any(1))
    assert 1 <= half.sum() <= 15
    inner = ~got[:, [0, -1]].any((1, 2)) & ~got[:, :, [0, -1]].any((1, 2))
    assert inner.sum() > 12  # boxes, and strokes that keep away


@pytest.mark.parametrize("kind", ["strokes", pytest.param("boxes", marks=pytest.mark.slow)])
def test_moving_masks_are_those_of_pictures_on_a_walk(kind):
    moving = jax.jit(moving_masks, static_argnums=(1, 2, 3, 4, 5))(KEY, 6, 5, 64, 96, kind)
    assert (moving.shape, moving.dtype) == ((6, 5, 64, 96, 1), jnp.float32)
    _, key = jax.random.split(KEY)
    np.testing.assert_array_equal(moving[:, 0], masks(key, 6, 64, 96, kind))
    steps = list(itertools.product(range(-8, 9), repeat=2))
    for clip in np.asarray(moving[..., 0]):
        for first, second in itertools.pairwise(clip):
            fits = [np.abs(second[8 + y : 56 + y, 8 + x : 88 + x] - first[8:-8, 8:-8]).mean() for y, x in steps]
            assert min(fits) < 0.03
            assert np.hypot(*steps[int(np.argmin(fits))]) / 64 < SPEEDS[1] + 0.06
    assert (np.asarray(moving[:, 0]) != np.asarray(moving[:, -1])).any(axis=(1, 2, 3)).all()


def test_a_walk_stays_near_and_other_kinds_do_not_move():
    moving = np.asarray(jax.jit(moving_masks, static_argnums=(1, 2, 3, 4, 5))(KEY, 4, 100, 16, 16, "boxes"))
    assert moving.any(axis=(2, 3, 4)).mean() > 0.8
    with pytest.raises(UserError, match="got half, expected one of strokes, boxes"):
        moving_masks(KEY, 1, 2, 8, 8, "half")

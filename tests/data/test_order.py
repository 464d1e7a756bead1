"""The order of examples: a function of size, seed and position."""

from __future__ import annotations

import sys

import grain
import numpy as np
import pytest

from jaxgan.data.order import Order

pytestmark = pytest.mark.quick


def test_one_example_comes_again_and_again():
    np.testing.assert_array_equal(Order(1, 3).indices(5, 4), np.zeros(4, np.int32))


def test_each_epoch_is_a_permutation_of_its_own():
    epochs = Order(101, seed=3).indices(0, 303).reshape(3, 101)
    assert (np.sort(epochs, axis=1) == np.arange(101)).all()
    assert len({epoch.tobytes() for epoch in epochs}) == 3


def test_neighbouring_seeds_share_no_epoch():
    walks = [Order(50, seed=seed).indices(0, 250).reshape(5, 50) for seed in range(4)]
    assert len({epoch.tobytes() for walk in walks for epoch in walk}) == 20


def test_position_is_all_there_is_to_know():
    order = Order(37, seed=0)
    whole = order.indices(0, 200)
    assert whole.dtype == np.int32
    pieces = [Order(37, seed=0).indices(at, 16) for at in range(0, 192, 16)]
    np.testing.assert_array_equal(np.concatenate(pieces), whole[:192])
    assert order.indices(10**15, 4).max() < 37


def test_order_is_the_one_that_old_runs_were_trained_in():
    # Pinned: with another order, no existing run could be resumed.
    assert Order(10, seed=0).indices(0, 20).tolist() == [
        5,
        8,
        9,
        7,
        4,
        2,
        1,
        0,
        3,
        6,
        6,
        9,
        4,
        8,
        0,
        7,
        3,
        2,
        1,
        5,
    ]
    assert Order(60_000, seed=42).indices(59_998, 4).tolist() == [41413, 57629, 33122, 49399]


@pytest.mark.parametrize("size", [40, 257, 2**14, 2**14 + 1, 60_000, 2**16, 2**16 + 2, 1_281_167, 2**31 - 1])
@pytest.mark.parametrize("seed", [0, 11])
def test_order_is_that_of_grains_shuffle(size, seed):
    spread = int(np.random.SeedSequence(seed).generate_state(1)[0])
    items = grain.MapDataset.range(size).shuffle(seed=spread).repeat()
    for position in (0, 2 * size - 10, 2**32 * size + 7):  # within an epoch, over its end, past the last seed of one
        given = Order(size, seed).indices(position, 20)
        assert given.tolist() == [items[place] for place in range(position, position + 20)]


def test_the_last_example_of_sizes_just_above_a_power_of_four_has_its_turn():
    """Grain's shuffle of 65,537 repeats the example of the first position and omits number 65,536."""
    assert (np.sort(Order(2**16 + 1, seed=0).indices(0, 2**16 + 1)) == np.arange(2**16 + 1)).all()


@pytest.mark.parametrize("size", [500, 60_000])
def test_indices_are_computed_in_arrays_not_one_by_one(size):
    order, calls = Order(size, seed=0), []
    before = sys.getprofile()
    sys.setprofile(lambda frame, event, _: calls.append(event))
    try:
        order.indices(0, 4096)
    finally:
        sys.setprofile(before)
    assert len(calls) < 4096

"""Fixtures shared by the tests of restoration networks."""

import jax
import numpy as np
import pytest


def reach(network, size, channels, multiple=1):
    """The receptive field of an output pixel in condition pixels, measured by gradients in a square condition.

    It is the largest over one block of `multiple` pixels of the condition, since their receptive fields may differ.
    """
    condition = jax.random.uniform(jax.random.key(1), (1, size, size, channels), minval=-1.0)
    tree = jax.jit(lambda: network.init(jax.random.key(0, impl="unsafe_rbg"), condition, train=False))()

    def output(condition, place):
        return network.apply(tree, condition, train=False)[0, place, place].sum()

    gradient = jax.jit(jax.grad(output))
    middle = size // 2 // multiple * multiple
    seen = 0
    for place in range(network.scale * middle, network.scale * (middle + multiple)):
        rows = np.flatnonzero(np.asarray(gradient(condition, place)).any(axis=(0, 2, 3)))
        assert rows[0] > 0  # otherwise the condition is too small to measure it
        assert rows[-1] < size - 1
        seen = max(seen, np.abs(rows - place // network.scale).max())
    return seen


@pytest.fixture(name="reach")
def make_reach():
    """`reach` as a function."""
    return reach

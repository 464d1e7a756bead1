"""Modes counted by hand, and the divergence against scipy's."""

import math

import numpy as np
import pytest
from scipy.stats import entropy

from jaxgan.metrics.modes import mode_divergence, modes_found


def test_modes_are_counted_once():
    assert modes_found(np.array([3, 3, 0, 7]), num_modes=1000) == 3


def test_divergence_of_one_mode_and_of_all():
    assert mode_divergence(np.zeros(50, np.int32), num_modes=1000) == pytest.approx(math.log(1000))
    assert mode_divergence(np.arange(1000), num_modes=1000) == pytest.approx(0.0, abs=1e-12)


def test_divergence_is_that_of_scipy():
    labels = np.random.default_rng(0).integers(0, 8, 100) ** 2 % 10
    counts = np.bincount(labels, minlength=10)
    assert mode_divergence(labels, num_modes=10) == pytest.approx(entropy(counts, np.ones(10)))


def test_divergence_of_a_perfect_generator_is_as_documented():
    labels = np.random.default_rng(0).integers(0, 1000, 25_600)
    assert mode_divergence(labels, num_modes=1000) == pytest.approx(999 / (2 * 25_600), rel=0.1)


@pytest.mark.parametrize("labels", [[], [10], [-1]])
def test_labels_outside_are_refused(labels):
    for measure in (modes_found, mode_divergence):
        with pytest.raises(ValueError, match="0 to 9"):
            measure(np.array(labels, np.int32), num_modes=10)

"""Diversity of sets whose spread is known."""

import numpy as np
import pytest

from jaxgan.metrics.diversity import diversity


def root_mean_square_of_pairs(points):
    squares = ((points[:, None] - points[None]) ** 2).sum(-1)
    return np.sqrt(squares[np.triu_indices(len(points), 1)].mean())


def test_diversity_is_the_ratio_of_distances_of_pairs():
    random = np.random.default_rng(0)
    real, fake = random.normal(size=(30, 4)), 0.3 * random.normal(size=(20, 4)) + 5
    expected = root_mean_square_of_pairs(fake) / root_mean_square_of_pairs(real)
    assert diversity(fake, real) == pytest.approx(expected)


def test_one_picture_a_class_is_no_diversity_within_classes():
    real = np.random.default_rng(0).normal(size=(40, 4))
    labels = np.arange(40) % 4
    fake = real[:4][labels]
    assert diversity(fake, real) > 0.5
    assert diversity(fake, real, fake_labels=labels, real_labels=labels) == pytest.approx(0, abs=1e-7)


def test_classes_weigh_the_same_and_one_that_is_never_drawn_counts_as_nothing():
    real = np.random.default_rng(0).normal(size=(40, 4))
    labels = np.repeat([0, 1], [30, 10])
    kept = labels == 0
    assert diversity(real[kept], real, fake_labels=labels[kept], real_labels=labels) == pytest.approx(0.5)


def test_reals_that_are_all_the_same_and_half_of_the_labels_are_refused():
    points = np.ones((5, 2))
    with pytest.raises(ValueError, match="all equal"):
        diversity(points, points)
    with pytest.raises(ValueError, match="both sets"):
        diversity(points, points, fake_labels=np.zeros(5, np.int32))

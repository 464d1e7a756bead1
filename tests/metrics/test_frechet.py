"""The Frechet distance against closed forms and scipy."""

import numpy as np
import pytest
import scipy.linalg

from jaxgan.metrics.frechet import frechet_distance, gaussian


def test_diagonal_covariances_have_a_closed_form():
    mean1, mean2 = np.array([0.0, 1.0, 2.0]), np.array([1.0, -1.0, 2.0])
    variances1, variances2 = np.array([1.0, 4.0, 0.0]), np.array([9.0, 4.0, 2.0])
    expected = 1 + 4 + ((np.sqrt(variances1) - np.sqrt(variances2)) ** 2).sum()
    distance = frechet_distance(mean1, np.diag(variances1), mean2, np.diag(variances2))
    assert distance == pytest.approx(expected, rel=1e-12)


def test_equals_the_root_of_the_product_by_scipy():
    random = np.random.default_rng(0)
    first, second = random.normal(size=(50, 6)), random.normal(size=(40, 6)) @ random.normal(size=(6, 6)) + 1
    a, b = gaussian(first), gaussian(second)
    root = scipy.linalg.sqrtm(a.covariance @ b.covariance).real
    expected = ((a.mean - b.mean) ** 2).sum() + np.trace(a.covariance + b.covariance - 2 * root)
    assert frechet_distance(*a, *b) == pytest.approx(expected, rel=1e-9)


def test_a_set_has_no_distance_from_itself_with_fewer_features_than_dimensions():
    a = gaussian(np.random.default_rng(0).normal(size=(5, 12)).astype(np.float32))
    assert 0.0 <= frechet_distance(*a, *a) < 1e-6  # a root of a rounding error: eps ** 0.5 at most


def test_statistics_are_those_of_numpy_in_float64():
    features = np.random.default_rng(0).normal(loc=1000.0, size=(200, 4)).astype(np.float32)
    result = gaussian(features)
    np.testing.assert_allclose(result.mean, features.astype(np.float64).mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(result.covariance, np.cov(features.astype(np.float64).T), rtol=1e-9)
    with pytest.raises(ValueError, match="at least 2"):
        gaussian(features[:1])

"""Kernel distance against its definition."""

import numpy as np
import pytest

from jaxgan.metrics.kernel import kernel_distance


def by_definition(x, y):
    """Eq. 4 of Binkowski et al. 2018, pair by pair."""
    k = lambda a, b: (a @ b / len(a) + 1) ** 3  # noqa: E731
    n = len(x)
    within = sum(k(z[i], z[j]) for z in (x, y) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    return within - 2 * sum(k(a, b) for a in x for b in y) / n**2


def test_the_distance_is_the_unbiased_one():
    random = np.random.default_rng(0)
    real, fake = random.normal(size=(9, 4)), random.normal(size=(9, 4)) + 1
    # each subset is the whole set in another order
    np.testing.assert_allclose(kernel_distance(real, fake, subsets=3), by_definition(real, fake), rtol=1e-10)


def test_it_is_near_zero_for_equal_distributions_and_grows_with_the_shift():
    random = np.random.default_rng(1)
    real, same, far = (random.normal(size=(400, 8)) + shift for shift in (0, 0, 0.5))
    assert abs(kernel_distance(real, same, subsets=5)) < 0.05 < kernel_distance(real, far, subsets=5)


def test_one_feature_is_too_few():
    with pytest.raises(ValueError, match="expected at least 2 in each"):
        kernel_distance(np.ones((1, 3)), np.ones((5, 3)))

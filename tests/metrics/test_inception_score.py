"""Inception score in closed forms."""

import numpy as np
import pytest

from jaxgan.metrics.inception_score import inception_score


def test_sure_and_even_samples_score_the_number_of_classes():
    logits = np.tile(50.0 * np.eye(5), (20, 1))
    # parts of a shuffled set are not quite even, the whole is
    assert inception_score(logits, splits=1).mean == pytest.approx(5.0)
    assert inception_score(logits, splits=1).deviation == 0.0


def test_samples_of_one_kind_or_of_none_score_one():
    assert inception_score(np.tile([9.0, 0.0, 0.0], (10, 1))).mean == pytest.approx(1.0)
    assert inception_score(np.zeros((10, 3))).mean == pytest.approx(1.0)


def test_it_is_the_exponential_of_the_mutual_information():
    p = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]])
    marginal = p.mean(0)
    information = (p * np.log(p / marginal)).sum(1).mean()
    assert inception_score(np.log(p), splits=1).mean == pytest.approx(np.exp(information))
    with pytest.raises(ValueError, match="expected at least"):
        inception_score(np.zeros((3, 2)))

"""Sets that cannot be compared are refused in one line that says how many there were."""

import numpy as np
import pytest

from jaxgan.metrics.class_balance import label_accuracy
from jaxgan.metrics.diversity import diversity
from jaxgan.metrics.frechet import frechet_distance, gaussian
from jaxgan.metrics.kernel import kernel_distance
from jaxgan.metrics.perceptual_path import path_lengths
from jaxgan.metrics.precision_recall import manifold_scores
from jaxgan.metrics.sliced_wasserstein import sliced_wasserstein_distance

NINE, EIGHT, WIDE = (np.random.default_rng(0).normal(size=shape) for shape in ((9, 3), (8, 3), (9, 4)))
LABELS = np.arange(9) % 2
CASES = {
    "swd": (lambda: sliced_wasserstein_distance(NINE, EIGHT), r"as many descriptors, got shapes \(9, 3\) and \(8, 3\)"),
    "swd of none": (lambda: sliced_wasserstein_distance(NINE[:0], NINE[:0]), r"got shapes \(0, 3\)"),
    "swd wide": (lambda: sliced_wasserstein_distance(NINE, WIDE), r"got shapes \(9, 3\) and \(9, 4\)"),
    "kid": (lambda: kernel_distance(NINE, WIDE), "equal dimensions, got 3 and 4"),
    "fid": (lambda: frechet_distance(*gaussian(NINE), *gaussian(WIDE)), "equal dimensions, got 3 and 4"),
    "recall": (lambda: manifold_scores(NINE, WIDE, neighbours=2), "equal dimensions, got 3 and 4"),
    "radii": (lambda: manifold_scores(NINE, EIGHT, neighbours=2, real_radii=NINE[:8, 0]), "of 9 points, got 8"),
    "diversity": (lambda: diversity(NINE, WIDE), "equal dimensions, got 3 and 4"),
    "labels": (
        lambda: diversity(EIGHT, NINE, fake_labels=LABELS, real_labels=LABELS),
        "a label for each of 8 features, got 9",
    ),
    "accuracy": (lambda: label_accuracy(LABELS, LABELS[:8]), "as many predicted labels as asked ones, got 9 and 8"),
    "paths": (lambda: path_lengths(np.abs, np.subtract, NINE, EIGHT), r"got \(8, 3\) and \(9, 3\)"),
}


@pytest.mark.quick
@pytest.mark.parametrize("case", CASES)
def test_unequal_sets_are_refused(case):
    compare, told = CASES[case]
    with pytest.raises(ValueError, match=told) as caught:
        compare()
    assert "\n" not in str(caught.value)

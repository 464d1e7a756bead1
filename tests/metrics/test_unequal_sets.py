"""Sets of unequal sizes raise in one line that has the sizes."""

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
    "swd": (lambda: sliced_wasserstein_distance(NINE, EIGHT), r"got descriptors of shapes \(9, 3\) and \(8, 3\)"),
    "swd of none": (lambda: sliced_wasserstein_distance(NINE[:0], NINE[:0]), r"shapes \(0, 3\)"),
    "swd wide": (lambda: sliced_wasserstein_distance(NINE, WIDE), r"shapes \(9, 3\) and \(9, 4\)"),
    "kid": (lambda: kernel_distance(NINE, WIDE), "got .* 3 and 4 dimensions"),
    "fid": (lambda: frechet_distance(*gaussian(NINE), *gaussian(WIDE)), "got .* 3 and 4 dimensions"),
    "recall": (lambda: manifold_scores(NINE, WIDE, neighbours=2), "got .* 3 and 4 dimensions"),
    "radii": (
        lambda: manifold_scores(NINE, EIGHT, neighbours=2, real_radii=NINE[:8, 0]),
        "got 8, expected one for each of 9 points",
    ),
    "diversity": (lambda: diversity(NINE, WIDE), "got .* 3 and 4 dimensions"),
    "labels": (
        lambda: diversity(EIGHT, NINE, fake_labels=LABELS, real_labels=LABELS),
        "got 9 labels, expected one for each of 8 features",
    ),
    "accuracy": (lambda: label_accuracy(LABELS, LABELS[:8]), "got 9 predicted and 8 requested labels"),
    "paths": (lambda: path_lengths(np.abs, np.subtract, NINE, EIGHT), r"starts of shape \(9, 3\) and ends of \(8, 3\)"),
}


@pytest.mark.quick
@pytest.mark.parametrize("case", CASES)
def test_unequal_sets_are_refused(case):
    compare, message = CASES[case]
    with pytest.raises(ValueError, match=message) as caught:
        compare()
    assert "\n" not in str(caught.value)

"""Class balance and label accuracy of known labels."""

import numpy as np
import pytest

from jaxgan.metrics.class_balance import class_balance, label_accuracy


@pytest.mark.parametrize(
    ("predicted", "expected", "balance"),
    [
        ([0, 1, 2, 3], [3, 2, 1, 0, 0, 1, 2, 3], 1.0),  # equal shares, whatever the order and the count
        ([0, 0, 0, 0], [0, 1, 2, 3], 0.25),  # three quarters would have to change class
        ([0, 0, 1, 1], [2, 3], 0.0),
        ([0, 0, 0, 1], [0, 0, 0, 1], 1.0),  # as imbalanced as was asked
    ],
)
def test_class_balance_is_the_share_that_need_not_change_class(predicted, expected, balance):
    assert class_balance(np.array(predicted), np.array(expected), num_classes=4) == pytest.approx(balance)


@pytest.mark.parametrize("labels", [[], [4], [-1, 0]])
def test_labels_outside_the_classes_are_refused(labels):
    with pytest.raises(ValueError, match="from 0 to 3"):
        class_balance(np.array(labels, np.int32), np.array([0, 1]), num_classes=4)


def test_label_accuracy_is_the_share_read_as_asked():
    assert label_accuracy(np.array([0, 1, 2, 2]), np.array([0, 1, 1, 2])) == 0.75

"""Labels in the proportions of the data, for every prefix."""

import time
from types import SimpleNamespace

import numpy as np
import pytest

from jaxgan.data.sources import DataSpec
from jaxgan.data.stacked import StackedSource
from jaxgan.evaluators import labels
from jaxgan.evaluators.labels import count_labels, spread_labels
from jaxgan.fields import picture_fields

COUNTS = {
    "two to one": [20, 10],
    "zipf": [1000, 500, 333, 250, 200, 166, 142, 125, 111, 100],
    "one large and many small": [600, *[1] * 400],
    "some without images": [0, 5, 0, 7, 1],
}


@pytest.mark.quick
@pytest.mark.parametrize("name", COUNTS)
def test_every_beginning_has_the_shares(name):
    """Tijdeman 1980, theorem 1: to 1 - 1 / (2k - 2) of a label."""
    counts = np.array(COUNTS[name])
    asked = spread_labels(counts, 2 * counts.sum())
    given = np.cumsum(asked[:, None] == np.arange(len(counts)), axis=0)
    wanted = np.arange(1, len(asked) + 1)[:, None] * counts / counts.sum()
    assert np.abs(given - wanted).max() <= 1 - 1 / (2 * np.count_nonzero(counts) - 2) + 1e-9
    np.testing.assert_array_equal(given[counts.sum() - 1], counts)


@pytest.mark.quick
@pytest.mark.parametrize("classes", [1, 2, 3, 10, 1000])
def test_equal_counts_are_asked_for_in_turn(classes):
    asked = spread_labels(np.full(classes, 450), 2_000)
    np.testing.assert_array_equal(asked, np.arange(2_000) % classes)
    assert asked.dtype == np.int32


def test_labels_of_a_thousand_classes_take_seconds_at_most():
    counts, began = np.random.default_rng(0).integers(1, 1000, 1000), time.monotonic()
    spread_labels(counts, 50_000)
    assert time.monotonic() - began < 10


@pytest.mark.quick
def test_no_images_have_no_shares():
    with pytest.raises(ValueError, match="at least one image"):
        spread_labels(np.zeros(3, int), 4)


class Many:
    """Examples of two classes, one in four of the second; images must not be read where labels can be."""

    def __init__(self, size):
        self.spec = DataSpec("many", "train", size, picture_fields(1, 1, 1, ("a", "b")), f"{size}")
        self.asked = []

    def read(self, indices):
        raise AssertionError("an image was read")

    def labels(self, indices):
        self.asked.extend(indices)
        return (np.asarray(indices) % 4 == 0).astype(np.int32)


def test_labels_alone_are_read_once_and_a_sample_of_very_many(monkeypatch, tmp_path):
    monkeypatch.setattr(labels, "MOST_LABELS", 100)
    few, many = Many(80), Many(40_000)
    for _ in range(2):
        np.testing.assert_array_equal(count_labels(few, cache_dir=str(tmp_path), seed=0), [60, 20])
        found = count_labels(many, cache_dir=str(tmp_path), seed=0)
        assert found.sum() == 100
        assert found[1] == pytest.approx(25, abs=13)  # three deviations
    assert len(few.asked) == 80
    assert len(set(many.asked)) == len(many.asked) == 100


def test_a_source_without_labels_apart_is_read_and_one_that_counted_them_is_not(tmp_path):
    whole = SimpleNamespace(
        spec=Many(30).spec, read=lambda rows: {"label": np.asarray(rows) % 2, "image": np.zeros((len(rows), 1, 1, 1))}
    )
    np.testing.assert_array_equal(count_labels(whole, cache_dir=str(tmp_path), seed=0), [15, 15])
    knows = SimpleNamespace(label_counts=np.array([3, 4]))
    assert count_labels(knows, cache_dir=str(tmp_path), seed=0) is knows.label_counts


def test_labels_of_stacked_data_are_those_of_their_base():
    base = SimpleNamespace(
        spec=DataSpec("b", "train", 20, picture_fields(2, 2, 1, tuple("abcd")), "f"),
        read=lambda rows: {
            "image": np.zeros((len(rows), 2, 2, 1), np.uint8),
            "label": (np.asarray(rows) % 4).astype(np.int32),
        },
    )
    source = StackedSource(base, name="stacked", size=50)
    np.testing.assert_array_equal(source.labels(range(50)), source.read(range(50))["label"])

"""Stacked blobs: a generator that draws all modes, and one that draws a single one."""

import math

import numpy as np
import pytest

from jaxgan.data.sources import DataSpec
from jaxgan.data.stacked import StackedSource
from jaxgan.evaluators import classifier_scores, feature_scores
from jaxgan.evaluators.classifier_features import Recipe
from jaxgan.evaluators.stacked_scores import StackedScores
from jaxgan.evaluators.streams import score
from jaxgan.fields import picture_fields

COUNT, CLASSES, SIZE = 120, 3, 9


class Blobs:
    """Grey noise, uint8; of each class another third of the rows is bright."""

    def __init__(self):
        random = np.random.default_rng(0)
        self._labels = np.arange(COUNT, dtype=np.int32) % CLASSES
        self._images = random.integers(0, 100, (COUNT, SIZE, SIZE, 1)).astype(np.uint8)
        for image, label in zip(self._images, self._labels):
            image[3 * label : 3 * label + 3] += 120
        self.spec = DataSpec("blobs", "all", COUNT, picture_fields(SIZE, SIZE, 1, tuple("abc")), "blobs")

    def read(self, indices):
        rows = np.asarray(indices)
        return {"image": self._images[rows], "label": self._labels[rows]}


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    """`make(source)`: a scorer, all with one cache."""
    with pytest.MonkeyPatch.context() as patch:
        small = Recipe(widths=(4, 8), hidden=8, least_images=3_000, most_images=3_000, batch_size=30)
        train = classifier_scores.load_or_train_classifier
        patch.setattr(classifier_scores, "load_or_train_classifier", lambda **given: train(**given, recipe=small))
        cache_dir = str(tmp_path_factory.mktemp("classifiers"))
        yield lambda source: StackedScores(source, None, samples=200, neighbours=3, cache_dir=cache_dir, seed=0)


@pytest.fixture(scope="module")
def scorer(make):
    source = StackedSource(Blobs(), name="stacked:blobs", size=200)
    return source, make(source)


def by_score(scores):
    return {name.partition("/")[0]: value for name, value in scores.items()}


def test_the_data_have_all_modes(scorer):
    source, scores_of = scorer
    examples = source.read(range(200))
    scores = by_score(score(scores_of, examples["image"], examples["label"]))
    assert scores["modes_found"] == len(np.unique(examples["label"])) == 27
    assert scores["mode_divergence"] < 0.15
    assert scores["label_accuracy"] == 1.0
    assert scores["frechet"] == pytest.approx(0.0, abs=1e-3)
    assert scores["recall"] == 1.0
    assert set(scores) == set(scores_of.names)


def test_a_single_mode_is_counted_as_one(scorer):
    source, scores_of = scorer
    one = np.repeat(source.read([0])["image"], 200, axis=0)
    scores = by_score(score(scores_of, one))
    assert scores["modes_found"] == 1.0
    assert scores["mode_divergence"] == pytest.approx(math.log(27))
    assert scores["diversity"] == 0.0
    assert scores["frechet"] > 1.0


def test_the_manifest_has_classifier_and_modes(scorer):
    manifest = scorer[1].manifest
    assert manifest["modes"] == 27
    assert manifest["features"].startswith("stacked-classifier-")
    assert manifest["classifier_accuracy"] == 1.0


def test_the_reference_is_seen_once(scorer, make, monkeypatch):
    source, first = scorer
    monkeypatch.delattr(feature_scores, "sums_of_reals")
    again = make(source)
    assert again.manifest == first.manifest
    images = source.read(range(50, 200))["image"]
    assert score(again, images) == score(first, images)

"""Statistics accumulated in parts equal those computed at once with NumPy."""

import jax
import numpy as np
import pytest

from jaxgan.data.sources import DataSpec
from jaxgan.evaluators.feature_sums import FeatureSums
from jaxgan.evaluators.streams import Features, Points, describe_reals
from jaxgan.fields import picture_fields
from jaxgan.metrics.diversity import Spread
from jaxgan.metrics.frechet import Moments
from jaxgan.metrics.inception_score import InceptionScoreSums
from jaxgan.metrics.sliced_wasserstein import PatchDescriptors, patch_descriptors

PARTS = (1, 30, 0, 7, 62)


def parts(array):
    return np.split(array, np.cumsum(PARTS)[:-1])


@pytest.mark.quick
def test_moments_of_parts_keep_their_digits_far_from_zero():
    features = np.random.default_rng(0).normal(size=(100, 5)) @ np.random.default_rng(1).normal(size=(5, 5)) + 1e6
    moments = Moments()
    for part in parts(features):
        moments.add(part)
    found = moments.gaussian()
    np.testing.assert_allclose(found.mean, features.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(found.covariance, np.cov(features, rowvar=False), rtol=1e-9)
    with pytest.raises(ValueError, match="got 4 dimensions, expected 5 as before"):
        moments.add(np.ones((3, 4)))


@pytest.mark.quick
def test_spread_within_classes_of_parts_is_the_variance():
    random = np.random.default_rng(0)
    features, labels = random.normal(size=(100, 4)) + 50, random.integers(0, 3, 100)
    labels[labels == 1] = 2
    labels[5] = 1
    spread = Spread(4)
    for part, classes in zip(parts(features), parts(labels)):
        spread.add(part, classes)
    found = spread.variances()
    np.testing.assert_array_equal(found.counts, np.bincount(labels, minlength=4))
    expected = [features[labels == label].var(axis=0, ddof=1).sum() for label in (0, 2)]
    np.testing.assert_allclose(found.variances, [expected[0], 0, expected[1], 0], rtol=1e-12)


@pytest.mark.quick
def test_an_inception_score_of_parts_is_that_of_the_shuffled_whole():
    """Split by split as torch-fidelity does it; probabilities of 0 take part."""
    logits = np.random.default_rng(0).normal(size=(100, 6)) * 3
    logits[:, 5] = -1e4
    sums = InceptionScoreSums(100, splits=7)
    for part in parts(logits):
        sums.add(part)
    p = np.exp(logits[:, :5])
    p = (p / p.sum(axis=1, keepdims=True))[np.random.RandomState(2020).permutation(100)]
    splits = [p[i * 100 // 7 : (i + 1) * 100 // 7] for i in range(7)]
    expected = [np.exp((s * np.log(s / s.mean(axis=0))).sum(axis=1).mean()) for s in splits]
    assert sums.score().mean == pytest.approx(np.mean(expected), rel=1e-12)
    assert sums.score().deviation == pytest.approx(np.std(expected), rel=1e-10)
    with pytest.raises(ValueError, match="got the logits of 101 samples, expected 100"):
        sums.add(logits[:1])


def test_patches_do_not_depend_on_how_images_were_parted():
    images = np.random.default_rng(0).integers(0, 256, (100, 33, 32, 2), np.uint8)
    patches = PatchDescriptors(patches_per_image=3, seed=4)
    for part in parts(images):
        patches.add(part)
    found, expected = patches.descriptors(), patch_descriptors(images, patches_per_image=3, seed=4)
    assert found.keys() == expected.keys() == {32, 16}
    for size, array in expected.items():
        np.testing.assert_array_equal(found[size], array)


@pytest.mark.quick
def test_only_the_first_points_are_kept():
    features = np.random.default_rng(0).normal(size=(100, 3)).astype(np.float32)
    points, sums = Points(40), FeatureSums(40)
    for part in parts(features):
        points.add(part)
        sums.add(part)
    np.testing.assert_array_equal(points.features, features[:40])
    np.testing.assert_array_equal(sums.arrays()["points"], features[:40])
    assert sums.moments.count == 100


def test_features_of_any_number_of_images_in_few_shapes():
    shapes = []

    @jax.jit
    def run(weights, images):
        shapes.append(images.shape)
        return {"sum": images.astype(float).sum(axis=(1, 2)) * weights}

    features = Features(run, np.float32(2), most=16, least=4)
    images = np.random.default_rng(0).integers(0, 256, (37, 3, 3), np.uint8)
    for count in (1, 3, 4, 5, 16, 17, 37):
        np.testing.assert_allclose(features(images[:count])["sum"], 2.0 * images[:count].sum(axis=(1, 2)))
    assert sorted(shapes) == [(4, 3, 3), (8, 3, 3), (16, 3, 3)]


def test_reals_come_in_random_order_chunk_by_chunk_with_their_labels(monkeypatch):
    class Numbers:
        spec = DataSpec("numbers", "train", 50, picture_fields(1, 1, 1), "f")

        def read(self, indices):
            assert len(indices) <= 8
            return {"image": np.asarray(indices, np.uint8)[:, None, None, None], "label": np.asarray(indices)}

    monkeypatch.setattr("jaxgan.evaluators.streams.CHUNK_IMAGES", 8)
    chunks = list(describe_reals(Numbers(), lambda images: {"value": images[:, 0, 0, 0]}, 20, 3))
    order = np.random.default_rng(3).permutation(50)[:20]
    np.testing.assert_array_equal(np.concatenate([rows["value"] for rows, _ in chunks]), order)
    np.testing.assert_array_equal(np.concatenate([labels for _, labels in chunks]), order)

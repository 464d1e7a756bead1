"""Nearest training images: copies are found, and held-out images are none."""

import math

import numpy as np
import pytest
from scipy.stats import mannwhitneyu
from sklearn.neighbors import NearestNeighbors

from jaxgan.data.sources import DataSpec
from jaxgan.evaluators import neighbours
from jaxgan.evaluators.neighbours import NeighbourSearch, memorisation, pixels, rank_test
from jaxgan.fields import picture_fields


class Noise:
    """Unlabelled images of noise."""

    def __init__(self, seed, size):
        self.spec = DataSpec("noise", "train", size, picture_fields(4, 4, 1), str(seed))
        self.images = np.random.default_rng(seed).integers(0, 256, (size, 4, 4, 1), np.uint8)

    def read(self, indices):
        return {"image": self.images[np.asarray(indices)]}


@pytest.fixture
def search(monkeypatch):
    monkeypatch.setattr(neighbours, "CHUNK_IMAGES", 64)  # several blocks
    return NeighbourSearch(Noise(0, 300), Noise(1, 400), describe=pixels, features="pixels")


def test_the_nearest_are_those_of_a_plain_search(search):
    samples = Noise(2, 50).images
    found = search(samples)
    reference = NearestNeighbors(n_neighbors=1).fit(pixels(Noise(0, 300).images))
    distances, indices = reference.kneighbors(pixels(samples))
    np.testing.assert_array_equal(found.nearest.indices, indices[:, 0])
    np.testing.assert_allclose(found.nearest.distances, distances[:, 0], rtol=1e-5)
    np.testing.assert_array_equal(found.nearest.images, Noise(0, 300).images[indices[:, 0]])
    held_out, _ = reference.kneighbors(pixels(Noise(1, 400).images))
    np.testing.assert_allclose(np.sort(found.held_out), np.sort(held_out[:, 0]), rtol=1e-5)
    assert found.near == pytest.approx(np.percentile(held_out, 1), rel=1e-5)
    assert found.verdict.startswith("not memorised")


def test_copies_are_memorised(search):
    found = search(Noise(0, 300).images[100:150].astype(np.float32) / 127.5 - 1.0)
    np.testing.assert_array_equal(found.nearest.indices, np.arange(100, 150))
    np.testing.assert_array_equal(found.nearest.distances, 0.0)
    assert found.share == 1.0
    assert found.nearer == 1.0
    assert found.verdict.startswith("memorised: ")


def clumps(seed, size):
    """Noise of which each tenth image is almost another one's copy, as digits are: the 1% nearest are very near."""
    source = Noise(seed, size)
    source.images[::10] = Noise(9, 1).images
    return source


@pytest.mark.parametrize("levels", [4, 24])
def test_copies_with_noise_are_memorised_though_some_held_out_images_are_nearer(levels):
    search = NeighbourSearch(clumps(0, 300), clumps(1, 400), describe=pixels, features="pixels")
    training = search._source.images[1:200:2].astype(np.float32)
    noise = np.random.default_rng(5).normal(0, levels, training.shape)
    copies = search(np.clip(np.rint(training + noise), 0, 255).astype(np.uint8))
    assert copies.share == 0.0
    assert copies.verdict.startswith("memorised: a sample is nearer")
    others = search(clumps(2, 200).images)
    assert others.nearer == pytest.approx(0.5, abs=0.08)
    assert others.verdict.startswith("not memorised")


def test_samples_that_are_nearer_by_a_little_are_worth_a_look():
    images = np.zeros((200, 2, 2, 1))
    distances = np.random.default_rng(0).uniform(0.12, 0.8, 200)
    held_out = np.random.default_rng(1).uniform(0.1, 1.1, 400)
    found = memorisation(neighbours.Nearest(np.arange(200), distances, images), held_out)
    assert 0.55 < found.nearer < 0.7
    assert found.verdict.startswith("perhaps memorised in part")


def test_the_rank_test_is_that_of_scipy():
    first, second = np.random.default_rng(0).normal(0, 1, 40), np.random.default_rng(1).normal(0.3, 1, 60)
    expected = mannwhitneyu(first, second, alternative="less", method="asymptotic", use_continuity=False)
    found = rank_test(first, second)
    assert found.smaller == pytest.approx(1 - expected.statistic / (40 * 60))
    assert 1 - 0.5 * (1 + math.erf(found.errors / 2**0.5)) == pytest.approx(expected.pvalue, rel=1e-6)
    assert rank_test(np.ones(3), np.ones(5)) == (0.5, 0.0)


def test_some_copies_are_reported(search):
    found = search(np.concatenate([Noise(0, 300).images[:10], Noise(2, 90).images]))
    assert found.share == pytest.approx(0.1, abs=0.03)
    assert found.verdict.startswith("perhaps memorised in part")


def test_held_out_images_that_are_copies_themselves_are_no_yardstick_for_others():
    nearest = neighbours.Nearest(np.arange(4), np.array([0.0, 0.1, 0.2, 0.3]), np.zeros((4, 2, 2, 1)))
    assert memorisation(nearest, np.zeros(50)).share == 0.25


def test_without_held_out_images_there_is_no_verdict():
    found = NeighbourSearch(Noise(0, 30), None, describe=pixels, features="pixels")(Noise(2, 5).images)
    assert found.verdict.startswith("no verdict")
    assert np.isnan([found.share, found.nearer]).all()
    assert len(found.nearest.distances) == 5


def test_a_distance_is_a_root_mean_square():
    black, white = np.zeros((1, 128, 128, 3), np.uint8), np.full((1, 128, 128, 3), 255, np.uint8)
    a, b = pixels(np.concatenate([black, white]))
    assert a.shape == (64 * 64 * 3,)
    assert np.linalg.norm(a - b) == pytest.approx(2.0, rel=1e-5)

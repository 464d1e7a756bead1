"""Manifold scores against brute force."""

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from jaxgan.metrics import precision_recall
from jaxgan.metrics.precision_recall import manifold_scores, neighbour_radii


def brute_force(real, fake, k):
    def distances(a, b):
        return np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1))

    real_radii = np.sort(distances(real, real), axis=1)[:, k]  # column 0 is the point itself
    fake_radii = np.sort(distances(fake, fake), axis=1)[:, k]
    inside_real = distances(real, fake) <= real_radii[:, None]
    inside_fake = distances(real, fake) <= fake_radii[None]
    return (
        inside_real.any(axis=0).mean(),
        inside_fake.any(axis=1).mean(),
        inside_real.sum(axis=0).mean() / k,
        inside_real.any(axis=1).mean(),
    )


@pytest.fixture
def sets():
    random = np.random.default_rng(0)
    return random.normal(size=(60, 3)), random.normal(loc=0.7, scale=0.8, size=(45, 3))


@pytest.mark.parametrize("block_bytes", [1, 5000, 2**20])
def test_equals_brute_force_whatever_the_blocks(sets, block_bytes, monkeypatch):
    monkeypatch.setattr(precision_recall, "BLOCK_BYTES", block_bytes)
    scores = manifold_scores(*sets, neighbours=4)
    np.testing.assert_allclose(scores, brute_force(*sets, 4), rtol=1e-12)
    assert min(scores) > 0  # none of them at a bound, where the comparison would say little
    assert max(scores[:2]) < 1


@pytest.mark.parametrize(
    ("neighbours", "published"),
    [  # compute_prdc(real_features=real, fake_features=fake, nearest_k=neighbours) of prdc 0.2 with scikit-learn 1.9.1
        (1, (0.7555555555555555, 0.75, 1.1111111111111112, 0.38333333333333336)),
        (4, (0.9555555555555556, 0.9666666666666667, 0.9555555555555556, 0.7333333333333333)),
        (7, (0.9777777777777777, 1.0, 0.9968253968253968, 0.8166666666666667)),
    ],
)
def test_equals_the_code_of_naeem_et_al(sets, neighbours, published):
    np.testing.assert_allclose(manifold_scores(*sets, neighbours=neighbours), published, rtol=1e-12)


def test_radii_are_those_of_sklearn(sets):
    distances, _ = NearestNeighbors(n_neighbors=5).fit(sets[0]).kneighbors()  # without the point itself
    np.testing.assert_allclose(np.sqrt(neighbour_radii(sets[0], 5)), distances[:, 4], rtol=1e-12)


def test_known_radii_change_nothing(sets):
    assert manifold_scores(*sets, neighbours=3) == manifold_scores(
        *sets, neighbours=3, real_radii=neighbour_radii(sets[0], 3)
    )


def test_copies_and_ties_are_inside_even_far_from_the_origin():
    grid = np.stack(np.meshgrid(np.arange(8.0), np.arange(8.0)), -1).reshape(-1, 2) * 0.1 + 1e4
    scores = manifold_scores(grid, grid.copy(), neighbours=2)
    # a corner has 2 neighbours at the distance of its 2nd, the other 24 of the border 3, the 36 inside 4
    expected = (4 * 3 + 24 * 4 + 36 * 5) / 64 / 2
    np.testing.assert_allclose(scores, (1, 1, expected, 1))


def test_a_collapsed_set_is_precise_but_recalls_nothing(sets):
    real = sets[0]
    scores = manifold_scores(real, np.repeat(real[:1], 30, axis=0), neighbours=3)
    assert scores.precision == 1.0
    assert scores.recall == pytest.approx(1 / len(real))  # the one that was copied: its ball is a point
    assert scores.coverage < 0.3


def test_a_copy_of_a_point_is_its_neighbour_but_the_point_itself_is_not():
    points = np.array([[0.0], [0.0], [3.0]])
    np.testing.assert_allclose(neighbour_radii(points, 1), [0.0, 0.0, 9.0])
    with pytest.raises(ValueError, match="expected 1 to 2"):
        neighbour_radii(points, 3)

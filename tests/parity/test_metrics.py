"""Scores against torch-fidelity's, on the same features."""

import numpy as np
import pytest
import torch
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import calculate_precision_recall_full

from jaxgan.metrics.frechet import frechet_distance, gaussian
from jaxgan.metrics.inception_score import inception_score
from jaxgan.metrics.kernel import kernel_distance
from jaxgan.metrics.precision_recall import manifold_scores


@pytest.fixture(scope="module")
def features():
    random = np.random.default_rng(0)
    mix = random.normal(size=(64, 64)) / 8
    real = np.maximum(random.normal(size=(1_200, 64)) @ mix, 0.0).astype(np.float32)
    fake = np.maximum(random.normal(size=(1_000, 64)) @ mix + 0.15, 0.0).astype(np.float32)
    return real, fake


def test_frechet_distance(features):
    statistics = [fid_features_to_statistics(torch.from_numpy(each)) for each in features]
    theirs = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    ours = frechet_distance(*gaussian(features[0]), *gaussian(features[1]))
    assert ours == pytest.approx(theirs, rel=1e-3)


def test_kernel_distance(features):
    real, fake = features
    settings = {"kid_subsets": 20, "kid_subset_size": 500, "rng_seed": 2020, "verbose": False}
    theirs = kid_features_to_metric(torch.from_numpy(fake), torch.from_numpy(real), **settings)
    ours = kernel_distance(real, fake, subsets=20, subset_size=500, seed=2020)
    assert ours == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-3)


def test_inception_score(features):
    logits = 4.0 * features[1]
    theirs = isc_features_to_metric(torch.from_numpy(logits))
    ours = inception_score(logits)
    assert ours.mean == pytest.approx(theirs["inception_score_mean"], rel=1e-3)
    assert ours.deviation == pytest.approx(theirs["inception_score_std"], rel=1e-3)


def test_precision_and_recall(features):
    real, fake = features
    precision, recall = calculate_precision_recall_full(torch.from_numpy(fake), torch.from_numpy(real), neighborhood=3)
    ours = manifold_scores(real, fake, neighbours=3)
    assert ours.precision == pytest.approx(precision, rel=1e-3)
    assert ours.recall == pytest.approx(recall, rel=1e-3)
    assert 0.05 < recall < 1.0

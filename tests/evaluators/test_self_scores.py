"""Scores of pictures without labels: the self-supervised network, and its distances for known faults."""

import dataclasses
import io
import itertools
import logging

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from benchmarks import trust
from jaxgan.data.sources import DataSpec
from jaxgan.evaluators.distribution import Distribution
from jaxgan.evaluators.self_features import SelfRecipe, contrastive, load_or_train_self, seen_as
from jaxgan.evaluators.self_scores import SelfScores, trained_on, training_images
from jaxgan.evaluators.streams import score
from jaxgan.fields import picture_fields

TINY = SelfRecipe(widths=(8, 8), hidden=16, embedding=8, steps=60, batch_size=32)
SIZE, KINDS = 12, 4


def gratings(count, seed):
    """Pictures 12x12 of stripes, of one of four directions each, of random place and contrast; and their kinds."""
    random = np.random.default_rng(seed)
    kinds = np.arange(count) % KINDS
    y, x = np.mgrid[:SIZE, :SIZE]
    angles = (np.pi * kinds / KINDS)[:, None, None]
    phases, contrasts = random.uniform(0, 2 * np.pi, (count, 1, 1)), random.uniform(60, 110, (count, 1, 1))
    waves = np.sin(1.6 * (np.cos(angles) * x + np.sin(angles) * y) + phases)
    return np.rint(128 + contrasts * waves).astype(np.uint8)[..., None], kinds


class Gratings:
    """Such pictures, without labels, as a source."""

    def __init__(self, count=400, seed=0):
        self.images, _ = gratings(count, seed)
        self.spec = DataSpec("gratings", "train", count, picture_fields(SIZE, SIZE, 1), f"{count}-{seed}")

    def read(self, indices):
        return {"image": self.images[np.asarray(indices)]}


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory):
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def scorer(cache_dir):
    return SelfScores(Gratings(), samples=200, neighbours=3, cache_dir=cache_dir, seed=0, recipe=TINY)


def by_score(scorer, images):
    return {name.partition("/")[0]: value for name, value in score(scorer, images).items()}


def saved(image, quality):
    file = io.BytesIO()
    Image.fromarray(image[..., 0]).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))[..., None]


def test_the_distance_rises_with_blur_noise_jpeg_and_kinds_left_out(scorer):
    images, kinds = gratings(200, 1)
    noise = np.random.default_rng(2).standard_normal(images.shape)
    spoilt = {
        "blur": [gaussian_filter(images, (0, s, s, 0)) for s in (0.5, 0.7, 1.0, 1.5)],
        "noise": [np.clip(images + s * noise, 0, 255).astype(np.uint8) for s in (32, 48, 64, 96)],
        "JPEG": [np.stack([saved(image, quality) for image in images]) for quality in (40, 20, 10, 4)],
        "left out": [np.resize(images[kinds >= least], images.shape) for least in (1, 2, 3)],
    }
    real = by_score(scorer, images)["frechet"]
    for how, steps in spoilt.items():
        distances = [real, *(by_score(scorer, step)["frechet"] for step in steps)]
        assert all(low < high for low, high in itertools.pairwise(distances)), (how, distances)
        assert 2 * real < distances[-1], (how, distances)


def test_held_out_pictures_score_like_the_data_and_one_repeated_picture_does_not(scorer):
    images, _ = gratings(200, 1)
    good, bad = by_score(scorer, images), by_score(scorer, np.repeat(images[:1], 200, axis=0))
    assert min(good["precision"], good["recall"], good["coverage"]) > 0.7
    assert good["diversity"] == pytest.approx(1, abs=0.1)
    assert bad["recall"] == 0
    assert bad["diversity"] == pytest.approx(0, abs=1e-3)
    assert bad["frechet"] > 20 * good["frechet"]


def test_the_network_is_kept_and_the_same_if_trained_again(scorer, cache_dir, tmp_path, caplog):
    def never():
        raise AssertionError("not taken from the cache")

    images = Gratings().images
    arguments = {"data": trained_on(Gratings(), 0), "recipe": TINY}
    kept = load_or_train_self(read=never, cache_dir=cache_dir, **arguments)
    assert kept.name == scorer.manifest["features"] == f"self-{scorer.manifest['network_fingerprint'][:8]}"
    order = np.random.default_rng(0).permutation(len(images))  # as the scorer draws them
    again = load_or_train_self(read=lambda: images[order], cache_dir=str(tmp_path), **arguments)
    assert again.checksum == kept.checksum == scorer.manifest["network_weights"]
    assert kept(images).features.var(axis=0).sum() == pytest.approx(100, rel=1e-4)
    changed = dataclasses.replace(TINY, seed=1)
    with pytest.raises(AssertionError, match="from the cache"):
        load_or_train_self(read=never, cache_dir=cache_dir, **(arguments | {"recipe": changed}))
    (tmp_path / f"{kept.name}.npz").write_bytes(b"nothing")
    with caplog.at_level(logging.WARNING), pytest.raises(AssertionError, match="from the cache"):
        load_or_train_self(read=never, cache_dir=str(tmp_path), **arguments)
    assert f"the stored network {tmp_path}" in caplog.text


def test_views_of_one_picture_are_pulled_together_and_those_of_others_apart():
    """Chen et al. 2020, eq. 1: two pictures whose views are equal, and at right angles to the other's."""
    embeddings = np.array([[3.0, 0.0], [0.0, 1.0], [0.5, 0.0], [0.0, 7.0]], np.float32)
    expected = np.log(np.exp(1 / 0.5) + 2) - 1 / 0.5
    assert contrastive(embeddings, temperature=0.5) == pytest.approx(expected, rel=1e-5)
    assert contrastive(embeddings[[0, 1, 3, 2]], temperature=0.5) == pytest.approx(np.log(np.e**2 + 2), rel=1e-5)


@pytest.mark.parametrize(
    ("features", "labels", "best"),
    [("auto", 0, "frechet"), ("self", 3, "frechet"), ("patches", 0, "swd"), ("auto", 3, "frechet")],
)
def test_unlabelled_pictures_are_scored_in_self_supervised_features(cache_dir, features, labels, best):
    source = Gratings()
    source.spec = dataclasses.replace(source.spec, fields=picture_fields(SIZE, SIZE, 1, tuple("abc"[:labels])))
    judge = Distribution(source, cache_dir=cache_dir, samples=100, features=features)
    assert judge.names[0] == best
    assert ("label_accuracy" in judge.names) == (features == "auto" and labels > 0)


def test_large_pictures_with_alpha_are_seen_at_64_pixels(tmp_path):
    source = Gratings(40)
    source.images = source.images.repeat(8, axis=1).repeat(12, axis=2).repeat(4, axis=3)
    source.spec = dataclasses.replace(source.spec, fields=picture_fields(96, 144, 4))
    assert training_images(source, 0).shape == (40, 43, 64, 4)
    recipe = dataclasses.replace(TINY, steps=1, batch_size=8)
    scorer = SelfScores(source, samples=30, neighbours=3, cache_dir=str(tmp_path), seed=0, recipe=recipe)
    assert scorer.manifest["seen_as"] == "43x64"
    assert by_score(scorer, source.images)["frechet"] == pytest.approx(0, abs=1e-3)
    assert (seen_as(32, 48), seen_as(256, 256), seen_as(64, 512)) == ("32x48", "64x64", "8x64")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits", "photographs"])
def test_on_real_pictures_every_spoiling_raises_the_distance_well_above_that_of_held_out_ones(name, tmp_path):
    data = trust.digits() if name == "digits" else trust.photographs(32)
    scorer = SelfScores(data.source, samples=2_000, neighbours=5, cache_dir=str(tmp_path), seed=0)
    real = trust.distance(scorer, data.images)
    for how, steps in trust.ladders(data, trust.LEFT_OUT[name]).items():
        distances = [real, *(trust.distance(scorer, images) for images in steps)]
        assert trust.rising(distances), (how, distances)
        assert 2 * real < distances[1], (how, distances)

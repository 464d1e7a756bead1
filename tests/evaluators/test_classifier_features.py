"""The classifier of the scores: trained once, cached, checked."""

import dataclasses
import json
import logging

import numpy as np
import pytest

from jaxgan.evaluators.classifier_features import Recipe, load_or_train_classifier
from jaxgan.evaluators.reference import Images

TINY = Recipe(widths=(4,), hidden=8, least_images=1600, most_images=1600, batch_size=16, learning_rate=1e-2)


def bars(count, seed):
    """Pictures 12x12 of a bright bar: class 0 upright, 1 lying, 2 none."""
    random = np.random.default_rng(seed)
    labels = (np.arange(count) % 3).astype(np.int32)
    images = random.integers(0, 60, (count, 12, 12, 1), dtype=np.uint8)
    for image, label, place in zip(images, labels, random.integers(2, 10, count)):
        if label == 0:
            image[:, place] = 250
        elif label == 1:
            image[place] = 250
    return Images(images, labels)


@pytest.fixture(scope="module")
def cached(tmp_path_factory):
    cache_dir = tmp_path_factory.mktemp("cache") / "classifiers"
    return cache_dir, train(cache_dir)


def train(cache_dir, **changes):
    arguments = {
        "data": "bars",
        "num_classes": 3,
        "read": lambda: (bars(150, 0), bars(60, 1)),
        "cache_dir": str(cache_dir),
        "recipe": TINY,
    }
    return load_or_train_classifier(**(arguments | changes))


def never():
    raise AssertionError("not taken from the cache")


def test_learns_the_classes_and_says_how_well_on_images_held_out(cached):
    _, features = cached
    held_out = bars(60, 1)
    found = features(held_out.images)
    assert features.accuracy > 0.9
    assert features.accuracy == np.mean(found.predicted == held_out.labels)
    assert features.name == f"classifier-{features.fingerprint[:8]}"


def test_features_do_not_depend_on_their_batch_and_have_a_total_variance_of_100(cached):
    _, features = cached
    images = bars(150, 0).images
    found = features(images)
    assert found.features.shape == (150, 8 + 4)
    assert found.features.var(axis=0).sum() == pytest.approx(100, rel=1e-4)
    np.testing.assert_allclose(features(images[:7]).features, found.features[:7], rtol=1e-5, atol=1e-5)


def test_is_taken_from_the_cache_and_is_the_same(cached):
    cache_dir, features = cached
    again = train(cache_dir, read=never)
    images = bars(10, 2).images
    assert (again.name, again.accuracy, again.checksum) == (
        features.name,
        features.accuracy,
        features.checksum,
    )
    np.testing.assert_array_equal(again(images).features, features(images).features)


def test_cached_files_need_no_pickle_and_describe_themselves(cached):
    cache_dir, features = cached
    record = json.loads((cache_dir / f"{features.name}.json").read_text())
    assert record["fingerprint"] == features.fingerprint
    assert record["accuracy"] == features.accuracy
    assert record["classifier"]["data"] == "bars"
    arrays = np.load(cache_dir / f"{features.name}.npz", allow_pickle=False)
    assert arrays["network/params/conv0/kernel"].shape == (4, 4, 1, 4)
    assert sorted(path.suffix for path in cache_dir.iterdir()) == [
        ".json",
        ".npz",
    ]  # nothing half-written stays


@pytest.mark.parametrize(
    "change", [{"data": "other"}, {"num_classes": 4}, {"recipe": dataclasses.replace(TINY, shift=2)}]
)
def test_other_data_classes_or_recipe_are_another_classifier(cached, change):
    with pytest.raises(AssertionError, match="from the cache"):
        train(cached[0], read=never, **change)


@pytest.mark.parametrize("damage", ["flipped bit", "truncated", "no weights", "half a record", "another's"])
def test_a_damaged_file_is_noticed(cached, tmp_path, damage, caplog):
    cache_dir, features = cached
    copy_damaged(cache_dir, tmp_path, features, damage)
    with caplog.at_level(logging.WARNING), pytest.raises(AssertionError, match="from the cache"):
        train(tmp_path, read=never)
    assert "it will be trained again" in caplog.text


def copy_damaged(cache_dir, to, features, damage):
    record = (cache_dir / f"{features.name}.json").read_bytes()
    weights = bytearray((cache_dir / f"{features.name}.npz").read_bytes())
    if damage == "flipped bit":
        weights[len(weights) // 2] ^= 1
    elif damage == "truncated":
        del weights[-10:]
    elif damage == "half a record":
        record = record[:40]
    elif damage == "another's":
        record = record.replace(features.fingerprint.encode(), features.fingerprint[::-1].encode())
    (to / f"{features.name}.json").write_bytes(record)
    if damage != "no weights":
        (to / f"{features.name}.npz").write_bytes(weights)


def test_a_retrained_classifier_equals_and_replaces_the_old_one(cached, tmp_path):
    cache_dir, features = cached
    copy_damaged(cache_dir, tmp_path, features, "flipped bit")
    assert train(tmp_path).checksum == features.checksum
    assert train(tmp_path, read=never).checksum == features.checksum


def test_a_cache_that_cannot_be_written_costs_a_warning(cached, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.WARNING):
        features = train(tmp_path / "file")
    assert "could not be stored" in caplog.text
    assert features.checksum == cached[1].checksum

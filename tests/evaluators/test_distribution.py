"""Scores of generators whose faults are known."""

import hashlib

import numpy as np
import pytest

from jaxgan.data.sources import DataSpec
from jaxgan.errors import UserError
from jaxgan.evaluators import classifier_scores, feature_sums
from jaxgan.evaluators.classifier_features import Recipe
from jaxgan.evaluators.distribution import Distribution
from jaxgan.evaluators.evaluator import Trained
from jaxgan.evaluators.reference import random_examples
from jaxgan.evaluators.reference_cache import cached
from jaxgan.evaluators.score_files import existing, read_report, write_report
from jaxgan.fields import picture_fields

COUNT, CLASSES, SIZE = 240, 3, 10


class ArraySource:
    """A source of images that are arrays already: uint8 `[n,H,W,C]`, and labels `[n]` if they have any."""

    def __init__(self, images: np.ndarray, labels: np.ndarray | None = None, *, name: str = "arrays"):
        digest = hashlib.sha256(repr(images.shape).encode() + np.ascontiguousarray(images).tobytes())
        if labels is not None:
            labels = np.asarray(labels, np.int32)
            digest.update(labels.tobytes())
        self._images, self._labels = images, labels
        num_classes = 0 if labels is None else int(labels.max()) + 1
        self.spec = DataSpec(
            name=name,
            split="all",
            size=len(images),
            fields=picture_fields(*images.shape[1:], tuple(map(str, range(num_classes)))),
            fingerprint=digest.hexdigest()[:16],
        )

    def read(self, indices) -> dict[str, np.ndarray]:
        """The examples at `indices`: image, and label if there are classes."""
        rows = np.asarray(indices)
        if self._labels is None:
            return {"image": self._images[rows]}
        return {"image": self._images[rows], "label": self._labels[rows]}


def blobs(labels, seed):
    """Noise of which each class has another third bright, float32 in [-1, 1]."""
    random = np.random.default_rng(seed)
    images = random.uniform(-0.6, 0.6, (len(labels), SIZE, SIZE, 1)).astype(np.float32)
    for image, label in zip(images, labels):
        image[3 * label : 3 * label + 3] += random.uniform(0.2, 0.4)
    return images


def source(seed=0, *, labelled=True):
    labels = np.sort(np.arange(COUNT) % CLASSES)  # sorted, as many data sets are
    images = np.rint(blobs(labels, seed) * 127.5 + 127.5).astype(np.uint8)
    return ArraySource(images, labels if labelled else None)


def generate(seed, labels):
    return blobs(labels if not isinstance(labels, int) else np.arange(labels) % CLASSES, seed)


def collapsed(seed, labels):
    return blobs(np.arange(CLASSES), 7)[labels]


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory):
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def quick(monkeypatch):
    recipe = Recipe(widths=(4,), hidden=8, least_images=2000, most_images=2000, learning_rate=1e-2, shift=0)
    make = classifier_scores.load_or_train_classifier
    monkeypatch.setattr(
        classifier_scores, "load_or_train_classifier", lambda **arguments: make(**arguments, recipe=recipe)
    )


def evaluator(cache_dir, **changes):
    arguments = {"cache_dir": cache_dir, "samples": 100, "batch_size": 40, "conditional": True, **changes}
    return Distribution(source(), source(1), **arguments)


def by_score(scores):
    return {name.split("/")[0]: value for name, value in scores.items()}


@pytest.mark.usefixtures("quick")
def test_a_good_generator_scores_well_and_a_collapsed_one_does_not(cache_dir):
    judge = evaluator(cache_dir)
    scores, again = judge.run(Trained(generate), 5), judge.run(Trained(generate), 5)
    assert scores == again
    assert {name.split("/")[1] for name in scores} == {judge.manifest["features"]}
    assert judge.names[0] == "frechet"
    good, bad = by_score(scores), by_score(judge.run(Trained(collapsed), 5))
    assert good["label_accuracy"] > 0.9
    assert good["class_balance"] > 0.9
    assert good["precision"] > 0.8
    assert good["recall"] > 0.8
    assert good["coverage"] > 0.8
    assert good["density"] == pytest.approx(1, abs=0.3)
    assert good["diversity"] == pytest.approx(1, abs=0.2)
    assert bad["frechet"] > 5 * good["frechet"]
    assert bad["recall"] == 0
    assert bad["diversity"] == pytest.approx(0, abs=1e-3)


@pytest.mark.usefixtures("quick")
def test_the_reference_is_seen_once(cache_dir, monkeypatch):
    first = evaluator(cache_dir).run(Trained(generate), 5)
    seen = []
    describe = feature_sums.describe_reals
    monkeypatch.setattr(feature_sums, "describe_reals", lambda *given: seen.append(given) or describe(*given))
    assert evaluator(cache_dir).run(Trained(generate), 5) == first
    assert not seen
    other = evaluator(cache_dir, reference_seed=1)  # other reference images
    assert other.run(Trained(generate), 5).keys() == first.keys()
    assert len(seen) == 1


def test_a_cache_that_cannot_be_written_costs_a_warning(tmp_path, caplog):
    (tmp_path / "file").write_text("no folder")
    found = cached(str(tmp_path / "file"), {"of": "ones"}, lambda: {"ones": np.ones(3)})
    np.testing.assert_array_equal(found["ones"], np.ones(3))
    assert "could not be written" in caplog.text


@pytest.mark.usefixtures("quick")
def test_wrong_labels_and_a_missing_class_are_seen(cache_dir):
    judge = evaluator(cache_dir)
    wrong = by_score(judge.run(Trained(lambda seed, labels: generate(seed, (labels + 1) % CLASSES)), 5))
    assert wrong["label_accuracy"] < 0.1
    assert wrong["class_balance"] > 0.9
    missing = by_score(judge.run(Trained(lambda seed, labels: generate(seed, np.minimum(labels, 1))), 5))
    assert missing["class_balance"] == pytest.approx(2 / 3, abs=0.1)


@pytest.mark.usefixtures("quick")
def test_the_generator_is_asked_for_classes_in_turn_from_seeds_of_its_own(cache_dir):
    asked, seeds = [], []

    def spy(seed, labels):
        seeds.append(seed)
        asked.append(labels)
        return generate(seed, labels)

    evaluator(cache_dir).run(Trained(spy), 5)
    assert [len(labels) for labels in asked] == [40, 40, 20]
    np.testing.assert_array_equal(np.concatenate(asked), np.arange(100) % CLASSES)
    assert len(set(seeds)) == 3
    asked.clear()
    scores = evaluator(cache_dir, conditional=False).run(Trained(spy), 6)
    assert asked == [40, 40, 20]
    assert not set(seeds[:3]) & set(seeds[3:])
    assert "label_accuracy" not in by_score(scores)


def unbalanced(seed):
    """Three of four images are of class 0, the others of class 2; none is of class 1."""
    labels = np.where(np.arange(COUNT) % 4 == 0, 2, 0)
    return ArraySource(np.rint(blobs(labels, seed) * 127.5 + 127.5).astype(np.uint8), labels)


@pytest.mark.usefixtures("quick")
def test_labels_are_asked_for_in_the_shares_of_the_data(tmp_path):
    """A generator that has learnt the data has the distance of chance; with classes in turn it is far from them."""
    judge = Distribution(unbalanced(0), unbalanced(1), cache_dir=str(tmp_path), samples=200, conditional=True)
    asked = []
    found = by_score(judge.run(Trained(lambda seed, labels: asked.append(labels) or generate(seed, labels)), 5))
    np.testing.assert_array_equal(np.bincount(np.concatenate(asked), minlength=3), [150, 0, 50])
    assert judge.manifest["labels"] == f"in the shares of {COUNT} training images"
    in_turn = by_score(judge.run(Trained(lambda seed, labels: generate(seed, np.arange(len(labels)) % 3)), 5))
    assert found["frechet"] < 2
    assert in_turn["frechet"] > 5 * found["frechet"]
    assert found["class_balance"] > 0.95
    assert found["diversity"] == pytest.approx(1, abs=0.2)


@pytest.mark.usefixtures("quick")
def test_of_one_image_a_class_there_is_no_diversity_and_all_else_is_a_number(tmp_path, caplog):
    """It was NaN, which JSON has not."""
    random = np.random.default_rng(0)
    alone = ArraySource(random.integers(0, 256, (12, SIZE, SIZE, 1), np.uint8), np.arange(12))
    settings = {"samples": 30, "batch_size": 30, "neighbours": 2, "conditional": True}
    judge = Distribution(alone, cache_dir=str(tmp_path), **settings)
    noise = lambda seed, labels: np.random.default_rng(seed).uniform(-1, 1, (len(labels), SIZE, SIZE, 1))  # noqa: E731
    scores = judge.run(Trained(noise), 0)
    assert set(by_score(scores)) == set(judge.names) - {"diversity"}
    assert np.isfinite(list(scores.values())).all()
    assert "diversity is left out of the scores" in caplog.text
    write_report(tmp_path / "scores.json", {"scores": scores, "manifest": judge.manifest})
    assert read_report(tmp_path / "scores.json")["scores"] == scores
    assert judge.manifest["classifier_accuracy"] is None  # nothing could be held out of its training


def test_of_equal_images_there_is_no_diversity(tmp_path):
    grey = ArraySource(np.full((20, SIZE, SIZE, 1), 99, np.uint8))
    judge = Distribution(grey, cache_dir=str(tmp_path), samples=20, neighbours=2, features="patches")
    assert "diversity" not in by_score(judge.run(Trained(lambda seed, count: np.zeros((count, SIZE, SIZE, 1))), 0))


def test_scores_that_are_no_numbers_are_left_out_and_never_written(tmp_path, caplog):
    scores = {"fid": 1.0, "kid": float("nan"), "is": float("inf")}
    assert existing(scores) == {"fid": 1.0}
    assert "kid (nan), is (inf)" in caplog.text
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_report(tmp_path / "scores.json", {"scores": scores, "manifest": {}})
    assert not (tmp_path / "scores.json").exists()


def test_a_tenth_is_held_out_of_the_classifier_but_of_no_class_everything():
    labels = np.repeat(np.arange(8), [60, 30, 1, 1, 1, 1, 1, 5])
    images = np.arange(100, dtype=np.uint8).reshape(100, 1, 1, 1)
    for seed in range(20):
        train, held_out = classifier_scores.classifier_data(ArraySource(images, labels), None, seed)
        assert set(train.labels) == set(labels)
        assert 5 <= len(held_out.images) <= 10
        assert set(train.images.ravel()) | set(held_out.images.ravel()) == set(range(100))
        assert len(train.images) + len(held_out.images) == 100
        np.testing.assert_array_equal(labels[train.images.ravel()], train.labels)


@pytest.mark.usefixtures("quick")
def test_the_manifest_has_references_and_counts(cache_dir):
    manifest = evaluator(cache_dir).manifest
    assert manifest["reference"].startswith(source().spec.fingerprint)
    assert manifest["samples"] == manifest["manifold_points"] == 100
    assert manifest["reference_images"] == COUNT
    assert manifest["neighbours"] == 5
    assert manifest["classifier_accuracy"] > 0.9
    assert manifest != evaluator(cache_dir, samples=50).manifest


def test_patches_and_thumbnails_are_compared_on_request(cache_dir):
    judge = Distribution(source(labelled=False), cache_dir=cache_dir, samples=100, features="patches")
    good = judge.run(Trained(generate), 5)
    bad = judge.run(Trained(lambda seed, count: collapsed(seed, np.zeros(count, int))), 5)
    assert judge.names[0] == "swd"
    assert set(good) == {
        "swd/patches-7x7",
        "swd/patches-7x7-10px",
        "recall/thumbnail-10px",
        "diversity/thumbnail-10px",
    }
    assert 2 * good["swd/patches-7x7"] < bad["swd/patches-7x7"]
    assert good["recall/thumbnail-10px"] > 0.6
    assert bad["recall/thumbnail-10px"] == 0
    assert bad["diversity/thumbnail-10px"] == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [(lambda images: images[:, 1:], "expected"), (lambda images: images * np.nan, "not finite")],
)
def test_images_of_another_shape_or_not_finite_are_refused(cache_dir, spoil, message):
    judge = Distribution(source(labelled=False), cache_dir=cache_dir, samples=100, features="patches")
    with pytest.raises(ValueError, match=message):
        judge.run(Trained(lambda seed, count: spoil(generate(seed, count))), 0)


@pytest.mark.parametrize("changes", [{"samples": 5}, {"neighbours": 0}, {"neighbours": COUNT, "samples": 1000}])
def test_more_neighbours_than_samples_or_images_are_refused_at_once(cache_dir, changes):
    with pytest.raises(UserError, match=r"config\.evaluation\.neighbours"):
        evaluator(cache_dir, **changes)


def test_features_for_restorations_are_refused(cache_dir):
    with pytest.raises(UserError, match=r"config\.evaluation\.features: got 'vgg16', which is for LPIPS"):
        evaluator(cache_dir, features="vgg16")


def test_a_reference_is_drawn_in_random_order_by_seed():
    labels = random_examples(source(), 100, seed=0).labels
    assert len(labels) == 100
    assert set(labels[:20]) == {0, 1, 2}
    np.testing.assert_array_equal(labels, random_examples(source(), 100, seed=0).labels)
    assert (labels != random_examples(source(), 100, seed=1).labels).any()
    assert len(random_examples(source(), 10_000, seed=0).images) == COUNT

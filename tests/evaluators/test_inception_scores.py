"""Scores in Inception's features: names, manifest, cache, the message without a file. The network is a stand-in."""

import hashlib

import numpy as np
import pytest

from jaxgan.data.sources import DataSpec
from jaxgan.errors import UserError
from jaxgan.evaluators import distribution, inception_features, inception_scores
from jaxgan.evaluators.distribution import Distribution
from jaxgan.evaluators.evaluator import Trained
from jaxgan.evaluators.inception_features import Seen, load_inception
from jaxgan.evaluators.score_files import check_same, read_report
from jaxgan.fields import picture_fields
from jaxgan.weights.safetensors import write


class Noise:
    """Random grey images."""

    def __init__(self, size=60):
        self.spec = DataSpec("noise", "train", size, picture_fields(4, 4, 1), "f" * 8)
        self.images = np.random.default_rng(0).integers(0, 256, (size, 4, 4, 1), np.uint8)

    def read(self, indices):
        return {"image": self.images[np.asarray(indices)]}


class StandIn:
    """Pixels as features."""

    name, checksum, calls = "inception-test", "abc", 0

    def __call__(self, images):
        StandIn.calls += len(images)
        features = images.reshape(len(images), -1).astype(np.float32) / 255
        return Seen(features, 5 * features[:, :5])


@pytest.fixture
def evaluator(monkeypatch, tmp_path):
    monkeypatch.setattr(inception_scores, "load_inception", lambda path: StandIn())
    monkeypatch.setattr(distribution, "check_weights", lambda path: path)
    StandIn.calls = 0

    def make(**changes):
        settings = {"samples": 50, "batch_size": 25, "neighbours": 3, "features": "inception", **changes}
        return Distribution(Noise(), cache_dir=str(tmp_path), **settings)

    return make


def generate(seed, count):
    return np.random.default_rng(seed).uniform(-1, 1, (count, 4, 4, 1)).astype(np.float32)


def test_scores_have_the_names_of_the_literature(evaluator):
    judge = evaluator()
    scores = judge.run(Trained(generate), 0)
    assert {name.partition("/")[0] for name in scores} == set(judge.names)
    assert judge.names[0] == "fid"
    assert all(name.endswith("/inception-test") for name in scores)
    assert 0 < scores["fid/inception-test"] < 1
    constant = judge.run(Trained(lambda seed, count: np.zeros((count, 4, 4, 1), np.float32)), 0)
    assert constant["fid/inception-test"] > scores["fid/inception-test"]
    assert constant["inception_score/inception-test"] == pytest.approx(1.0)


def test_the_reference_is_computed_once(evaluator, tmp_path):
    evaluator().run(Trained(generate), 0)
    assert StandIn.calls == 60 + 50
    evaluator().run(Trained(generate), 1)
    assert StandIn.calls == 60 + 50 + 50
    (path,) = tmp_path.glob("reference-*.npz")
    path.write_bytes(path.read_bytes()[:100])  # damaged files are rebuilt
    evaluator().run(Trained(generate), 1)
    assert StandIn.calls == 60 + 50 + 50 + 110


class Plain:
    """Coloured images of 256 pixels, 590 kB each as floats: image i is of the one brightness i mod 250."""

    def __init__(self, size):
        self.spec = DataSpec("plain", "train", size, picture_fields(256, 256, 3), "e" * 8)

    def read(self, indices):
        values = (np.asarray(indices) % 250).astype(np.uint8)
        return {"image": np.broadcast_to(values[:, None, None, None], (len(values), 256, 256, 3))}


class Corner(StandIn):
    """The brightness of a corner, twice, as features."""

    def __call__(self, images):
        features = images[:, 0, 0, :2].astype(np.float32)
        return Seen(features, features)


def test_a_reference_of_more_than_500_mb_is_seen_whole(evaluator, monkeypatch, tmp_path):
    """Of 3,000 images of 256 pixels: Frechet's distance in closed form, of two sets of one number each, twice."""
    monkeypatch.setattr(inception_scores, "load_inception", lambda path: Corner())
    settings = {"samples": 60, "batch_size": 20, "neighbours": 3, "features": "inception"}
    judge = Distribution(Plain(3_000), cache_dir=str(tmp_path), **settings)
    fakes = []

    def draw(seed, count):
        fakes.append(np.random.default_rng(seed).integers(0, 256, count))
        return np.broadcast_to((fakes[-1] / 127.5 - 1)[:, None, None, None], (count, 256, 256, 3))

    scores, real = judge.run(Trained(draw), 0), np.arange(3_000) % 250
    assert judge.manifest["reference_images"] == 3_000
    drawn = np.concatenate(fakes)
    means, deviations = (real.mean() - drawn.mean()) ** 2, (real.std(ddof=1) - drawn.std(ddof=1)) ** 2
    # both features are the same number: their covariance has one root of twice the variance
    assert scores["fid/inception-test"] == pytest.approx(2 * means + 2 * deviations, rel=1e-6)


def test_scores_of_different_manifests_do_not_compare(evaluator):
    ours, same, other = evaluator().manifest, evaluator().manifest, evaluator(samples=40).manifest
    check_same(ours, same, "the same")
    with pytest.raises(UserError, match=r"do not compare with those of x: points: 50 here, 40 there; samples: 50 here"):
        check_same(ours, other, "x")


def test_a_missing_file_says_where_to_get_it():
    for path in (None, "nowhere.pth"):
        with pytest.raises(UserError, match=r"config\.evaluation\.weights.*6726825d\.pth of torch-fidelity"):
            load_inception(path)
        with pytest.raises(UserError, match=r"config\.evaluation\.weights"):  # before anything is trained
            Distribution(Noise(), cache_dir="", samples=50, features="inception", weights=path)


@pytest.fixture
def loaded(monkeypatch, tmp_path):
    """`loaded(file, save, tensors)`: name and checksum of the features of a file that `save(path, tensors)` wrote."""
    monkeypatch.setattr(inception_features, "from_torch", lambda tensors: {"params": {}})

    def load(name, save, tensors):
        path = str(tmp_path / name)
        save(path, tensors)
        features = load_inception(path)
        return features.name, features.checksum

    return load


def save_npz(path, tensors):
    np.savez(path, **tensors)


def test_other_weights_are_named_by_their_tensors_whatever_the_format(loaded):
    tensors = {"b": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.ones(2, np.float32)}
    name, checksum = loaded("weights.npz", save_npz, tensors)
    assert name == f"inception-unpublished-{checksum[:8]}"
    assert loaded("weights.safetensors", write, tensors) == (name, checksum)
    assert loaded("sorted.npz", save_npz, dict(sorted(tensors.items()))) == (name, checksum)
    for other in ({**tensors, "a": 2 * tensors["a"]}, {**tensors, "b": tensors["b"].T.copy()}):
        assert loaded("other.npz", save_npz, other)[1] != checksum


def test_the_published_file_is_known_by_the_hash_in_its_name(loaded, monkeypatch, tmp_path):
    tensors = {"a": np.ones(2, np.float32)}
    write(str(tmp_path / "weights.safetensors"), tensors)
    digest = hashlib.sha256((tmp_path / "weights.safetensors").read_bytes()).hexdigest()
    monkeypatch.setattr(inception_features, "PUBLISHED", digest[:8])
    assert loaded("weights.safetensors", write, tensors)[0] == "inception-2015-12-05"


def test_reports_are_read_or_refused(tmp_path):
    path = tmp_path / "scores.json"
    for text in ("", "[]", '{"scores": 1, "manifest": {}}'):
        path.write_text(text)
        with pytest.raises(UserError, match="expected a file of scores"):
            read_report(path)
    path.write_text('{"scores": {"fid": 1.0}, "manifest": {"a": 1}}')
    assert read_report(path)["scores"] == {"fid": 1.0}

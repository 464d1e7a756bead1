"""Scores of clips: by I3D (a stand-in here), by patches that reach over frames, by a classifier of their labels."""

import dataclasses

import numpy as np
import pytest

from jaxgan.data.clip_frames import ClipFrames
from jaxgan.data.sources import DataSpec
from jaxgan.errors import UserError
from jaxgan.evaluators import distribution, motion_scores, video_scores
from jaxgan.evaluators.classifier_features import Classified, Recipe, classify, train_classifier
from jaxgan.evaluators.controls import controls
from jaxgan.evaluators.distribution import Distribution
from jaxgan.evaluators.evaluator import Trained
from jaxgan.evaluators.reference import Images
from jaxgan.fields import Field, label_field, picture_fields
from jaxgan.metrics.frechet import frechet_distance
from jaxgan.models.classifier import ClipClassifier

FRAMES, SIDE = 6, 16
WAYS = ("right", "left")


def clips(random, count):
    """Bars that drift to the right or to the left, uint8 `[n,6,16,16,1]`, and which of the two."""
    labels = random.integers(0, 2, count).astype(np.int32)
    places = random.integers(0, SIDE, (count, 1)) + np.where(labels, -1, 1)[:, None] * 2 * np.arange(FRAMES)
    bars = (np.arange(SIDE) - places[..., None]) % SIDE < 4
    return np.broadcast_to(bars[:, :, None, :, None], (count, FRAMES, SIDE, SIDE, 1)).astype(np.uint8) * 200, labels


class Bars:
    """A source of such clips."""

    def __init__(self, size=80, *, labels=True, seed=0):
        fields = {"image": Field((FRAMES, SIDE, SIDE, 1), "uint8", "pixels")}
        fields |= {"label": label_field(WAYS)} if labels else {}
        self.spec = DataSpec("bars", "train", size, fields, f"{seed}" * 8)
        self._images, self._labels = clips(np.random.default_rng(seed), size)

    def read(self, indices):
        rows = np.asarray(indices)
        labels = {"label": self._labels[rows]} if "label" in self.spec.fields else {}
        return {"image": self._images[rows], **labels}


class StandIn:
    """Means of frames and of their changes as features."""

    name, checksum = "i3d-test", "abc"

    def __call__(self, images):
        images = images.astype(np.float32)[:, :, ::4, ::4] / 255
        parts = images, np.abs(np.diff(images, axis=1))
        return np.concatenate([part.reshape(len(images), -1)[:, ::7] for part in parts], axis=1)


def drawn(still=False):
    def generate(seed, count):
        images = clips(np.random.default_rng(seed), count)[0] / 127.5 - 1.0
        return images[:, [0] * FRAMES] if still else images

    return Trained(generate)


SETTINGS = {"samples": 60, "batch_size": 30, "neighbours": 3}


def test_the_scores_of_the_literature(monkeypatch, tmp_path):
    monkeypatch.setattr(video_scores, "i3d_features", lambda path: StandIn())
    judge = Distribution(Bars(), cache_dir=str(tmp_path), features="i3d", **SETTINGS)
    moving, still = judge.run(drawn(), 0), judge.run(drawn(still=True), 0)
    assert {name.partition("/")[0] for name in moving} == set(judge.names)
    assert judge.names[:2] == ("fvd", "kvd")
    for name in ("fvd/i3d-test", "kvd/i3d-test"):
        assert moving[name] < 0.5 * still[name]
    manifest = judge.manifest
    assert (manifest["features"], manifest["frames"], manifest["weights"]) == ("i3d-test", FRAMES, "abc")
    assert manifest["protocol"]["size"] == 224


def test_clips_without_labels_are_scored_by_patches_over_frames(tmp_path):
    judge = Distribution(Bars(labels=False), cache_dir=str(tmp_path), **SETTINGS)
    moving, still = judge.run(drawn(), 0), judge.run(drawn(still=True), 0)
    assert moving["swd/patches-4x7x7"] < 0.7 * still["swd/patches-4x7x7"]


def test_motion_is_compared_with_that_of_the_data(tmp_path):
    class Dots(Bars):
        """A square that moves down, one pixel a frame, and never reaches an edge."""

        def __init__(self):
            super().__init__(labels=False)
            self._images = np.zeros_like(self._images)
            for frame in range(FRAMES):
                self._images[:, frame, 3 + frame : 7 + frame, 5:9] = 255

    source = Dots()
    judge = Distribution(source, cache_dir=str(tmp_path), features="motion", **SETTINGS)
    real = source.read(np.arange(80))["image"] / 127.5 - 1.0
    moving = judge.run(Trained(lambda seed, count: real[:count]), 0)
    assert moving.pop("motion/thumbnails") == 1.0
    assert moving == {
        "speed_distance/motion": 0.0,
        "speed_ratio/motion": 0.0,
        "straight/motion": 1.0,
        "moves/motion": 1.0,
        "flicker/motion": 0.0,
    }
    noise = np.random.default_rng(0).normal(0.0, 0.2, real.shape)
    assert judge.run(Trained(lambda seed, count: (real + noise)[:count]), 0)["flicker/motion"] > 10
    still = judge.run(Trained(lambda seed, count: real[:count, [0] * FRAMES]), 0)
    assert still["speed_distance/motion"] == pytest.approx(1.0, rel=1e-3)  # the speed of the data
    assert still["speed_ratio/motion"] == pytest.approx(1.0)
    assert still["moves/motion"] == 0.0
    assert judge.manifest["straight_reals"] == 1.0


def test_identity_scores_objects_that_change(monkeypatch, tmp_path):
    class Grey:
        """Reads a thing by how bright it is."""

        fingerprint, checksum, accuracy = "f", "c", 1.0

        def __call__(self, images):
            return Classified(np.zeros((len(images), 1)), (images.max(axis=(1, 2, 3)) > 150).astype(np.int32))

    trained = {}
    monkeypatch.setattr(motion_scores, "load_or_train_classifier", lambda **given: trained.update(given) or Grey())

    class Named(Bars):
        def __init__(self):
            super().__init__()
            fields = self.spec.fields | {"label": label_field(("3 right", "7 left"))}
            self.spec = dataclasses.replace(self.spec, fields=fields)

    judge = Distribution(Named(), cache_dir=str(tmp_path), features="motion", **SETTINGS)

    def fading(seed, count):  # darker in the last two of six frames
        return np.linspace(1.0, 0.4, FRAMES)[:, None, None, None] * (drawn().generate(seed, count) + 1) - 1

    assert judge.run(drawn(), 0)["identity/motion"] == 1.0
    assert judge.run(Trained(fading), 0)["identity/motion"] == pytest.approx(3 / 6)
    assert judge.manifest["identity_reals"] == 1.0
    assert trained["num_classes"] == 2
    train, held_out = trained["read"]()
    assert train.images.shape[1:] == (SIDE, SIDE, 1)
    assert len(train.images) + len(held_out.images) == 80 * FRAMES


def test_controls_stand_beside_scores(monkeypatch, tmp_path):
    monkeypatch.setattr(video_scores, "i3d_features", lambda path: StandIn())
    judge = Distribution(Bars(), Bars(seed=1), cache_dir=str(tmp_path), features="i3d", **SETTINGS)
    found = judge.controls(0)
    assert list(found) == ["real", "first frame repeated", "frames shuffled", "pictures in a row"]
    assert all(scores.keys() == judge.run(drawn(), 0).keys() for scores in found.values())
    distances = {name: scores["fvd/i3d-test"] for name, scores in found.items()}
    assert all(distances["real"] < 0.5 * value for name, value in distances.items() if name != "real")
    monkeypatch.setattr(distribution, "controls", None)  # they are kept
    again = Distribution(Bars(), Bars(seed=1), cache_dir=str(tmp_path), features="i3d", **SETTINGS)
    assert again.controls(0) == found
    pictures = Distribution(ClipFrames(Bars(labels=False)), cache_dir=str(tmp_path), features="patches", **SETTINGS)
    assert pictures.controls(0) == {}


def test_controls():
    source = Bars()
    made = {name: generate(0, np.array([1, 0, 1])) for name, generate in controls(source, 80, 0).items()}
    real = made["real"]
    assert {name: clips.shape for name, clips in made.items()} == dict.fromkeys(made, real.shape)
    known = source.read(np.arange(80))
    to_levels = np.rint(real * 127.5 + 127.5).astype(np.uint8)
    for clip, label in zip(to_levels, (1, 0, 1)):
        assert (known["image"][known["label"] == label] == clip).all(axis=(1, 2, 3, 4)).any()
    np.testing.assert_array_equal(made["first frame repeated"], real[:, [0] * FRAMES])
    assert not (made["frames shuffled"] == real).all()
    for name in ("frames shuffled", "real"):
        as_sets = np.sort(made[name].reshape(3, FRAMES, -1), axis=1)
        np.testing.assert_array_equal(as_sets, np.sort(real.reshape(3, FRAMES, -1), axis=1))
    row = np.rint(made["pictures in a row"] * 127.5 + 127.5).astype(np.uint8)
    for clip, label in zip(row, (1, 0, 1)):
        of_class = known["image"][known["label"] == label]
        sources = [{n for n in range(len(of_class)) if (of_class[n, t] == clip[t]).all()} for t in range(FRAMES)]
        assert all(sources)  # each a frame of a clip of the class, at its time
        assert not set.intersection(*sources)  # but no one's


@pytest.mark.slow
def test_a_classifier_learns_which_way_clips_go():
    images, labels = clips(np.random.default_rng(0), 400)
    model = ClipClassifier(len(WAYS), (8,), 16)
    recipe = Recipe(least_images=3_000, most_images=3_000)
    params = train_classifier(model, Images(images, labels), recipe)
    fresh, asked = clips(np.random.default_rng(1), 100)
    found = classify(model, params, fresh)
    assert (found.logits.argmax(axis=1) == asked).mean() > 0.9
    judged = {"real": fresh, "still": fresh[:, [0] * FRAMES], "shuffled": fresh[:, [3, 0, 5, 2, 4, 1]]}
    moments = {
        name: (each.mean(axis=0), np.cov(each.T))
        for name, each in {
            name: classify(model, params, clips).hidden for name, clips in {**judged, "known": images}.items()
        }.items()
    }
    distances = {name: frechet_distance(*moments["known"], *moments[name]) for name in judged}
    assert distances["real"] < 0.2 * min(distances["still"], distances["shuffled"])


def test_features_for_the_other_kind_of_data_raise(tmp_path):
    class Pictures(Bars):
        def __init__(self):
            super().__init__()
            self.spec = DataSpec("pictures", "train", 80, picture_fields(SIDE, SIDE, 1), "f" * 8)

    for source, features, told in (
        (Bars(), "inception", "bars has clips; expected 'classifier', 'i3d', 'motion' or 'patches'"),
        (Bars(), "self", "bars has clips"),
        (Pictures(), "i3d", "pictures has pictures; expected 'inception'"),
    ):
        with pytest.raises(UserError, match=rf"config\.evaluation\.features: got '{features}', but {told}"):
            Distribution(source, cache_dir=str(tmp_path), features=features, **SETTINGS)

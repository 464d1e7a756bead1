"""Scores of clips: by I3D (a stand-in here), by patches that reach over frames, by a classifier of their labels."""

import numpy as np
import pytest

from jaxgan.data.sources import DataSpec
from jaxgan.errors import UserError
from jaxgan.evaluators import video_scores
from jaxgan.evaluators.classifier_features import Recipe, train_classifier
from jaxgan.evaluators.distribution import Distribution
from jaxgan.evaluators.evaluator import Trained
from jaxgan.evaluators.reference import Images
from jaxgan.fields import Field, label_field, picture_fields
from jaxgan.models.classifier import Classifier

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
    assert moving == {"speed_distance/motion": 0.0, "straight/motion": 1.0, "moves/motion": 1.0}
    still = judge.run(Trained(lambda seed, count: real[:count, [0] * FRAMES]), 0)
    assert still["speed_distance/motion"] == pytest.approx(1.0, rel=1e-3)  # the speed of the data
    assert still["moves/motion"] == 0.0
    assert judge.manifest["straight_reals"] == 1.0


@pytest.mark.slow
def test_a_classifier_learns_which_way_clips_go():
    images, labels = clips(np.random.default_rng(0), 400)
    model = Classifier(len(WAYS), (8,), 16)
    recipe = Recipe(least_images=3_000, most_images=3_000)
    params = train_classifier(model, Images(images, labels), recipe)
    fresh, asked = clips(np.random.default_rng(1), 100)
    found = model.apply(params, fresh / np.float32(127.5) - 1).logits.argmax(axis=1)
    assert (found == asked).mean() > 0.9


def test_features_of_the_other_kind_of_data_are_told(tmp_path):
    class Pictures(Bars):
        def __init__(self):
            super().__init__()
            self.spec = DataSpec("pictures", "train", 80, picture_fields(SIDE, SIDE, 1), "f" * 8)

    for source, features, told in (
        (Bars(), "inception", "bars has clips: accepted are 'classifier', 'i3d', 'motion' and 'patches'"),
        (Bars(), "self", "bars has clips"),
        (Pictures(), "i3d", "pictures has pictures: accepted are 'inception'"),
    ):
        with pytest.raises(UserError, match=rf"config\.evaluation\.features: got '{features}', but {told}"):
            Distribution(source, cache_dir=str(tmp_path), features=features, **SETTINGS)

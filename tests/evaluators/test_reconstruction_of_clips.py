"""Scores of restored clips, and of baselines without training."""

import dataclasses

import jax
import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from jaxgan.data.clip_frames import ClipFrames
from jaxgan.data.sources import DataSpec
from jaxgan.errors import UserError
from jaxgan.evaluators import reconstruction
from jaxgan.evaluators.evaluator import Trained
from jaxgan.evaluators.reconstruction import Reconstruction
from jaxgan.fields import pixel_field
from jaxgan.media.grids import PADDING
from jaxgan.metrics.temporal import clip_motion, tof

FRAMES, SIDE = 5, 48


class Clips:
    """Textures that move by 2 pixels a frame beside some that stand."""

    spec = DataSpec("waves", "test", 2, {"image": pixel_field(None, None, 3, frames=FRAMES)}, "0" * 16)

    def __init__(self, seed=0):
        self.seed, self.read = seed, []

    def picture(self, index):
        self.read.append(index)
        noise = np.random.default_rng((self.seed, index)).uniform(0, 255, (SIDE, 2 * SIDE, 3))
        for _ in range(4):
            noise = (noise + np.roll(noise, 1, 0) + np.roll(noise, 1, 1)) / 3
        clip = np.stack([noise[:, 2 * number : 2 * number + SIDE] for number in range(FRAMES)])
        clip[:, :, :24] = clip[:1, :, :24]
        return {"image": clip.astype(np.uint8)}


@dataclasses.dataclass(frozen=True)
class Noise:
    scale = 1
    masks = False
    label = "noise"

    def __call__(self, key, image):
        return image + 0.1 * jax.random.normal(key, image.shape)


@dataclasses.dataclass(frozen=True)
class Dark(Noise):
    label = "dark"

    def __call__(self, key, image):
        return image - 10 / 127.5


@dataclasses.dataclass(frozen=True)
class Hole(Noise):
    masks = True
    label = "hole"

    def __call__(self, key, image):
        mask = jax.numpy.zeros_like(image[..., :1])
        for number in range(FRAMES):  # it moves on
            mask = mask.at[:, number, 8:12, 4 * number : 4 * number + 4].set(1.0)
        return jax.numpy.concatenate([image * (1 - mask), mask], axis=-1)


def frames(**given):
    return ClipFrames(Clips(**given))


def test_clips_have_means_of_frames_and_scores_in_time():
    evaluator = Reconstruction(frames(), Noise(), training=lambda: frames(seed=1))
    shots = []

    def restore(shot):
        shots.append(shot)
        return shot

    scores = evaluator.run(Trained(restore=restore), 0)
    assert [shot.shape for shot in shots] == [(FRAMES, SIDE, SIDE, 3)] * 2
    restored = [np.rint(np.clip(shot, -1, 1) * 127.5 + 127.5).astype(np.uint8) for shot in shots]
    originals = [Clips().picture(index)["image"] for index in range(2)]
    cut = slice(1, -1)
    by_clip = [
        np.mean([peak_signal_noise_ratio(one[cut, cut], other[cut, cut]) for one, other in zip(*pair)])
        for pair in zip(originals, restored)
    ]
    assert scores["psnr/noise"] == pytest.approx(np.mean(by_clip))
    assert scores["psnr_std/noise"] == pytest.approx(np.std(by_clip))
    apart = [tof(made, clip_motion(clip)).mean() for made, clip in zip(restored, originals)]
    assert scores["tof/noise"] == pytest.approx(np.mean(apart))
    assert scores["tof_std/noise"] == pytest.approx(np.std(apart))
    assert scores["flicker_original/noise"] < 0.2
    assert scores["flicker/noise"] > 10 > scores["flicker_temporal_mean/noise"] > 0
    assert scores["warping_error/noise"] > scores["warping_error_original/noise"]
    for name in ("input", "temporal_mean", "temporal_median", "nlmeans"):
        assert {f"{each}_{name}/noise" for each in ("psnr", "psnr_y", "ssim", "tof", "flicker", "swd")} <= set(scores)
    assert scores["psnr_input/noise"] == scores["psnr/noise"]
    assert scores["psnr_nlmeans/noise"] > scores["psnr/noise"] + 2
    assert not any(name.startswith("tlp") for name in scores)


class MeanColour:
    name = "mean_colour"

    def __call__(self, clips):
        return clips.mean(axis=(1, 2, 3))


def test_clips_as_wholes_are_compared_in_the_features_of_a_file(monkeypatch):
    files = []
    monkeypatch.setattr(reconstruction, "i3d_features", lambda path: files.append(path) or MeanColour())
    settings = {"training": lambda: frames(seed=1), "features": "i3d", "weights": "i3d.pt"}
    evaluator = Reconstruction(frames(), Dark(), **settings)
    scores = evaluator.run(Trained(restore=lambda shot: shot), 0)
    assert files == ["i3d.pt"]
    # ten levels darker, with the same covariance
    assert scores["vfid/dark"] == scores["vfid_input/dark"] == pytest.approx(3 * 10**2, rel=0.01)
    assert "mean_colour" in evaluator.manifest["features"]
    with pytest.raises(UserError, match="got i3d, expected at least 2 held-out clips"):
        Reconstruction(frames(), Dark(), **settings, samples=FRAMES)


def test_methods_are_tuned_on_training_once():
    training = frames(seed=1)
    evaluator = Reconstruction(frames(), Hole(), training=lambda: training)
    first, second = (evaluator.run(Trained(restore=lambda shot: shot[..., :3]), 0) for _ in range(2))
    assert first == second
    assert training._clips.read == [0, 1]


def test_training_without_such_clips_costs_a_line(caplog):
    def training():
        raise UserError("a clip takes 5 frames, the longest shot has 3")

    scores = Reconstruction(frames(), Hole(), training=training).run(Trained(restore=lambda shot: shot[..., :3]), 0)
    assert "tuned on the same clips that they are scored on: a clip takes 5 frames" in caplog.text
    assert scores["psnr_temporal_median/hole"] > scores["psnr_biharmonic/hole"] > scores["psnr/hole"]


def test_whole_clips_are_counted_and_their_length_is_on_record():
    evaluator = Reconstruction(frames(), Noise(), samples=FRAMES + 2)
    assert evaluator.manifest["samples"] == FRAMES
    assert evaluator.manifest["frames"] == FRAMES
    assert Reconstruction(frames(), Noise(), samples=1).manifest["samples"] == FRAMES


@dataclasses.dataclass(frozen=True)
class Strong(Noise):
    label = "strong"

    def __call__(self, key, image):
        return image + 0.5 * jax.random.normal(key, image.shape)


def test_another_degradation_than_that_of_training_is_scored():
    scores = Reconstruction(frames(), Noise(), training=lambda: frames(seed=1), scored=Strong())
    scores = scores.run(Trained(restore=lambda shot: shot), 0)
    assert scores["psnr/strong"] < 15
    assert "psnr/noise" not in scores


def test_one_with_other_conditions_is_refused():
    with pytest.raises(UserError, match="scored: got hole, expected a degradation with the scale and the channels"):
        Reconstruction(frames(), Noise(), scored=Hole())


def test_the_picture_shows_frames_of_each_clip_in_their_order():
    evaluator = Reconstruction(frames(), Noise(), training=lambda: frames(seed=1))
    picture = evaluator.picture(Trained(restore=lambda shot: np.zeros_like(shot)))
    rows, columns = 6, 6  # three frames of both; condition, three methods, restored, original
    cell = SIDE + PADDING
    tiles = picture[-rows * cell :, -columns * cell :].reshape(rows, cell, columns, cell, 3).swapaxes(1, 2)
    tiles = tiles[:, :, :SIDE, :SIDE]
    assert (tiles[:, 4] == 128).all()
    truth = [Clips().picture(clip)["image"][place] for clip in range(2) for place in (0, 2, 4)]
    np.testing.assert_array_equal(tiles[:, 5], truth)

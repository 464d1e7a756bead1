"""Scores of restored pictures, and of a baseline without training."""

import dataclasses

import numpy as np
import pytest
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from jaxgan.augment.degradations import Blur, Chain, Edges, GaussianNoise, Poisson
from jaxgan.data.sources import DataSpec
from jaxgan.errors import UserError
from jaxgan.evaluators import reconstruction
from jaxgan.evaluators.evaluator import Trained
from jaxgan.evaluators.reconstruction import Reconstruction
from jaxgan.fields import picture_fields
from jaxgan.metrics.image_quality import ms_ssim


class Pictures:
    """Smooth pictures of three sizes."""

    spec = DataSpec("smooth", "test", 3, picture_fields(None, None, 3), "0" * 16)

    def picture(self, index):
        height, width = ((64, 80), (70, 64), (30, 64))[index]
        y, x = np.mgrid[:height, :width] / 9.0
        waves = [np.sin(x + index), np.cos(y), np.sin(x + y)]
        return {"image": np.rint(np.stack(waves, axis=2) * 100 + 127).astype(np.uint8)}


@dataclasses.dataclass(frozen=True)
class Shrunk:
    scale = 2
    masks = False
    label = "box_x2"

    def __call__(self, key, image):
        del key
        return image.reshape(1, image.shape[1] // 2, 2, image.shape[2] // 2, 2, 3).mean(axis=(2, 4))


@dataclasses.dataclass(frozen=True)
class Hole:
    scale = 1
    masks = True
    label = "hole"

    def __call__(self, key, image):
        import jax.numpy as jnp

        del key
        mask = jnp.zeros_like(image[..., :1]).at[:, 8:12, 8:12].set(1.0)
        return jnp.concatenate([image * (1 - mask), mask], axis=-1)


def nearest(condition):
    return condition.repeat(2, axis=1).repeat(2, axis=2)


def test_scores_are_the_means_of_scikit_images():
    evaluator = Reconstruction(Pictures(), Shrunk(), samples=10)
    scores = evaluator.run(Trained(restore=nearest), 0)
    assert [original.shape for original in evaluator.originals] == [(64, 80, 3), (64, 64, 3), (16, 64, 3)]
    psnrs, ssims, lumas = [], [], []
    for original, condition in zip(evaluator.originals, evaluator.conditions):
        restored = np.rint(np.clip(nearest(condition[None])[0], -1, 1) * 127.5 + 127.5).astype(np.uint8)
        cut = slice(2, -2)
        pair = original[cut, cut], restored[cut, cut]
        psnrs.append(peak_signal_noise_ratio(*pair))
        if min(original.shape[:2]) > 20:
            ssims.append(structural_similarity(*pair, channel_axis=-1))
        # as super-resolution's tables have it: luma, Gaussian window of 11 pixels, the border cut off
        y = (rgb2ycbcr(image)[..., 0] for image in pair)
        published = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
        lumas.append(structural_similarity(*y, data_range=255, **published))
    np.testing.assert_allclose(scores["psnr/box_x2"], np.mean(psnrs), rtol=1e-4)
    np.testing.assert_allclose(scores["psnr_std/box_x2"], np.std(psnrs), rtol=1e-3)
    assert 0 < scores["ssim/box_x2"] < 1
    np.testing.assert_allclose(scores["ssim_y/box_x2"], np.mean(lumas), rtol=1e-5)
    assert scores["ssim_y_bicubic/box_x2"] > scores["ssim_y/box_x2"]
    assert scores["psnr_bicubic/box_x2"] > scores["psnr/box_x2"]
    assert scores["swd/box_x2"] > 0
    assert evaluator.manifest["degradation"] == "box_x2"


def test_there_is_no_ssim_of_luma_of_pictures_smaller_than_its_window():
    class Quartered(Shrunk):
        scale = 4

        def __call__(self, key, image):
            return Shrunk.__call__(self, key, Shrunk.__call__(self, key, image))

    model = Trained(restore=lambda image: nearest(nearest(image)))
    scores = Reconstruction(Pictures(), Quartered(), samples=3).run(model, 0)
    assert "ssim/box_x2" in scores  # the smallest has 16 pixels, 8 without its border
    assert not any(name.startswith("ssim_y") for name in scores)


@pytest.mark.parametrize(
    ("degradation", "name"),
    [
        (GaussianNoise(25.0), "nlm"),
        (GaussianNoise((15.0, 50.0)), "nlm"),
        (Poisson(3.0), "nlm"),
        (Hole(), "biharmonic"),
    ],
)
def test_a_baseline_stands_beside_the_scores_and_beats_doing_nothing(degradation, name):
    evaluator = Reconstruction(Pictures(), degradation, samples=2)
    scores = evaluator.run(Trained(restore=lambda condition: condition[..., :3]), 0)
    label = degradation.label
    assert scores[f"psnr_{name}/{label}"] > scores[f"psnr/{label}"] + 3


class Grey(Pictures):
    """The first channel."""

    spec = dataclasses.replace(Pictures.spec, fields=picture_fields(None, None, 1))

    def picture(self, index):
        return {"image": super().picture(index)["image"][..., :1]}


@pytest.mark.parametrize(("degradation", "name"), [(GaussianNoise(25.0), "nlm"), (Hole(), "biharmonic")])
def test_grey_pictures_have_baselines_too(degradation, name):
    evaluator = Reconstruction(Grey(), degradation, samples=1)
    scores = evaluator.run(Trained(restore=lambda condition: condition[..., :1]), 0)
    label = degradation.label
    assert scores[f"psnr_{name}/{label}"] > scores[f"psnr/{label}"] + 3


class Pairs(Pictures):
    """Pictures beside darker ones, of as many channels as asked for."""

    def __init__(self, channels):
        self.channels = channels

    def picture(self, index):
        picture = super().picture(index)
        return {**picture, "condition": picture["image"][..., : self.channels] // 2}


@pytest.mark.parametrize(
    ("pictures", "degradation"),
    [(Pictures(), Chain((GaussianNoise(5.0), Blur((1.0, 1.0), ("isotropic",))))), (Pairs(3), None)],
)
def test_without_a_known_method_the_condition_is_the_baseline(pictures, degradation):
    evaluator = Reconstruction(pictures, degradation, samples=1)
    scores = evaluator.run(Trained(restore=lambda condition: condition), 0)
    assert scores[f"psnr_input/{evaluator.label}"] == scores[f"psnr/{evaluator.label}"]


@pytest.mark.parametrize(("pictures", "degradation"), [(Pictures(), Edges()), (Pairs(1), None)])
def test_conditions_of_other_channels_stand_beside_nothing(pictures, degradation):
    evaluator = Reconstruction(pictures, degradation, samples=1)
    scores = evaluator.run(Trained(restore=lambda condition: condition.repeat(3, axis=-1)), 0)
    assert f"psnr/{evaluator.label}" in scores
    assert not any("_input" in name for name in scores)


def test_the_same_conditions_every_time():
    first, second = (Reconstruction(Pictures(), GaussianNoise(25.0), samples=1, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.conditions[0], second.conditions[0])
    other = Reconstruction(Pictures(), GaussianNoise(25.0), samples=1, seed=4)
    assert (first.conditions[0] != other.conditions[0]).any()


class Large(Pictures):
    """One picture that MS-SSIM has room for."""

    spec = dataclasses.replace(Pictures.spec, size=1)

    def picture(self, index):
        return {"image": np.tile(super().picture(index)["image"], (3, 3, 1))[:192, :176]}


def test_ms_ssim_of_large_pictures_and_lpips_with_a_network(monkeypatch):
    def distance(restored, original):
        return np.abs(restored - original).mean(axis=(1, 2, 3))

    monkeypatch.setattr(reconstruction, "_make_lpips", lambda *_: distance)
    evaluator = Reconstruction(Large(), Shrunk(), samples=1, features="alexnet")
    scores = evaluator.run(Trained(restore=nearest), 0)
    original, restored = evaluator.originals[0], np.rint(nearest(evaluator.conditions[0][None]) * 127.5 + 127.5)
    pair = np.clip(restored, 0, 255) / 127.5 - 1, original[None] / 127.5 - 1
    np.testing.assert_allclose(scores["ms_ssim/box_x2"], ms_ssim(*pair)[0], rtol=1e-4)
    np.testing.assert_allclose(scores["lpips/box_x2"], distance(*pair)[0], rtol=1e-4)
    assert scores["lpips_bicubic/box_x2"] < scores["lpips/box_x2"]
    assert "alexnet" in evaluator.manifest["features"]
    assert "ms_ssim/box_x2" not in Reconstruction(Pictures(), Shrunk(), samples=1).run(Trained(restore=nearest), 0)


def test_lpips_without_its_file_says_which():
    with pytest.raises(UserError, match=r"config\.evaluation\.weights is missing: .*alexnet-owt-7be5be79\.pth"):
        Reconstruction(Pictures(), None, features="alexnet")

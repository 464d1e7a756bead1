"""Degradations as a task uses them: by key, row by row, under jit, and what each does."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from jaxgan.augment.degradations import (
    Bicubic,
    Blur,
    Chain,
    Edges,
    GaussianNoise,
    Identity,
    Jpeg,
    Masks,
    Poisson,
)
from jaxgan.augment.real_esrgan import RealESRGAN
from jaxgan.building.builder import build
from jaxgan.errors import UserError

PATH = "config.task.degradation"
CHAIN = {"parts": ({"name": "degradations.Bicubic", "scale": 2}, {"name": "degradations.GaussianNoise", "strength": 5})}
SECTIONS = {
    "identity": {"name": "degradations.Identity"},
    "bicubic_x2": {"name": "degradations.Bicubic", "scale": 2},
    "blur_0.2-3": {"name": "degradations.Blur"},
    "gaussian_25": {"name": "degradations.GaussianNoise"},
    "gaussian_0-50_grey0.4": {"name": "degradations.GaussianNoise", "strength": (0, 50), "grey": 0.4},
    "poisson_1_grey": {"name": "degradations.Poisson", "grey": 1.0},
    "jpeg_30-95": {"name": "degradations.Jpeg"},
    "jpeg_75_444": {"name": "degradations.Jpeg", "quality": 75, "subsampling": False},
    "strokes": {"name": "degradations.Masks"},
    "mixed_masks": {"name": "degradations.Masks", "kind": "mixed"},
    "bicubic_x2+gaussian_5": {"name": "degradations.Chain", **CHAIN},
    "realesrgan_x2": {"name": "real_esrgan.RealESRGAN", "scale": 2},
}
WITH_SLOW = [pytest.param(label, marks=pytest.mark.slow) if "realesrgan" in label else label for label in SECTIONS]
FIXED = ("identity", "bicubic_x2", "jpeg_75_444")
SMOOTH = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(2, 16, 16, 3)), (0, 3, 3, 0))
LEVELS = np.rint(127.5 + 60 * SMOOTH / SMOOTH.std()).clip(0, 255)
IMAGES = jnp.asarray(LEVELS / 127.5 - 1, jnp.float32)
KEY = jax.random.key(0)


@functools.lru_cache
def compiled(label):
    """The degradation of a label, its jitted call and what that makes of the images."""
    degradation = build(SECTIONS[label], "degradation", path=PATH)
    call = jax.jit(degradation.__call__)
    return degradation, call, np.asarray(call(KEY, IMAGES))


@pytest.mark.parametrize("label", SECTIONS)
def test_a_condition_has_its_shape_and_the_degradation_says_what_it_is(label):
    degradation, _, condition = compiled(label)
    side = 16 // degradation.scale
    assert condition.shape == (2, side, side, 4 if degradation.masks else 3)
    assert condition.dtype == np.float32
    assert np.isfinite(condition).all()
    assert degradation.label == label
    assert len(degradation.describe()) > 10


@pytest.mark.parametrize("label", SECTIONS)
def test_one_key_gives_one_result_and_another_key_another(label):
    _, call, condition = compiled(label)
    np.testing.assert_array_equal(call(KEY, IMAGES), condition)
    other = np.asarray(call(jax.random.key(1), IMAGES))
    assert (other == condition).all() == (label in FIXED)


@pytest.mark.parametrize("label", SECTIONS)
def test_rows_do_not_see_each_other(label):
    _, call, condition = compiled(label)
    changed = np.asarray(call(KEY, IMAGES.at[0].set(IMAGES[0, ::-1] * 0.5)))
    np.testing.assert_allclose(changed[1], condition[1], atol=1e-6)
    assert (changed[0] != condition[0]).any()
    if label not in FIXED:
        twice = np.asarray(call(KEY, jnp.stack([IMAGES[0], IMAGES[0]])))
        assert (twice[0] != twice[1]).any()


@pytest.mark.parametrize("label", [label for label in WITH_SLOW if "mixed" not in str(label)])
def test_without_jit_it_is_the_same(label):
    degradation, _, condition = compiled(label)
    eager = np.asarray(degradation(KEY, IMAGES))
    close = np.isclose(eager, condition, atol=1e-5)
    # a rounding may fall to the other side
    assert close.mean() > (0.95 if label.startswith(("jpeg", "realesrgan")) else 0.999)
    np.testing.assert_allclose(eager.mean(), condition.mean(), atol=2e-3)


@pytest.mark.parametrize("label", WITH_SLOW)
def test_derivatives_are_finite_and_pass(label):
    degradation, _, _ = compiled(label)
    slope = jax.jit(jax.grad(lambda x: jnp.square(degradation(KEY, x)).sum()))(IMAGES)
    assert np.isfinite(slope).all()
    assert np.abs(slope).mean() > 0.01


def test_bicubic_is_what_pillow_saves():
    condition = compiled("bicubic_x2")[2]
    for image, got in zip(LEVELS.astype(np.uint8), (condition + 1) * 127.5):
        np.testing.assert_allclose(got, np.rint(got), atol=1e-4)
        expected = np.asarray(Image.fromarray(image).resize((8, 8), Image.Resampling.BICUBIC), np.float64)
        assert np.abs(got - expected).max() <= 1.001


def test_noise_has_the_strength_it_is_named_for_and_is_not_clipped():
    grey = jnp.zeros((64, 32, 32, 3))
    fixed = np.asarray(GaussianNoise(25)(KEY, grey)) * 127.5
    np.testing.assert_allclose(fixed.std((1, 2, 3)), 25.0, rtol=0.06)
    drawn = (np.asarray(GaussianNoise((10.0, 50.0))(KEY, grey)) * 127.5).std((1, 2, 3))
    assert drawn.min() > 9
    assert drawn.max() < 53
    assert drawn.std() > 8
    assert np.asarray(GaussianNoise(50)(KEY, grey + 1)).max() > 1.2
    some = np.asarray(GaussianNoise(25, grey=0.4)(KEY, grey))
    share = (some == some[..., :1]).all((1, 2, 3)).mean()
    assert 0.2 < share < 0.6
    counted = np.asarray(Poisson(2.0)(KEY, grey)) / 2
    np.testing.assert_allclose(counted.std(), 2 * np.sqrt(0.5 / 256), rtol=0.03)


def test_masks_hide_the_image_and_say_where():
    condition = compiled("strokes")[2]
    mask = condition[..., 3:]
    np.testing.assert_array_equal(condition[..., :3], np.asarray(IMAGES) * (1 - mask))
    assert Masks("boxes").label == "boxes"
    assert Masks(side=64, width=(0.02, 0.1)).label == "strokes_of_64_0.02-0.1"
    assert Masks(width=(0.02, 0.1)).label == "strokes_0.02-0.1"


def test_a_chain_is_one_part_after_the_other():
    chain = Chain((Bicubic(2), Jpeg(50), Masks("half")))
    assert (chain.scale, chain.masks, chain.label) == (2, True, "bicubic_x2+jpeg_50+half")
    keys = jax.random.split(KEY, 3)
    expected = Masks("half")(keys[2], Jpeg(50)(keys[1], Bicubic(2)(keys[0], IMAGES)))
    np.testing.assert_array_equal(chain(KEY, IMAGES), expected)
    with pytest.raises(UserError, match="masks only as the last"):
        Chain((Masks(), Identity()))
    with pytest.raises(UserError, match=r"degradation\.parts\.0\.scale"):
        build({"name": "degradations.Chain", "parts": ({"name": "degradations.Bicubic"},)}, "degradation", path=PATH)


def test_real_esrgan_gives_8_bits_in_range():
    condition = (compiled("realesrgan_x2")[2] + 1) * 127.5
    np.testing.assert_allclose(condition, np.rint(condition), atol=1e-4)
    assert condition.min() >= 0
    assert condition.max() <= 255


@pytest.mark.slow
def test_real_esrgan_without_strength_is_a_reduction_in_place():
    """Resized up and down on the way, a picture stays where it is."""
    calm = RealESRGAN(
        scale=2,
        blur=((0.1, 0.1), (0.1, 0.1)),
        resize=((0.5, 1.5), (0.9, 1.2)),
        noise=((0.0, 0.0),) * 2,
        poisson=((0.0, 0.0),) * 2,
        quality=((100, 100),) * 2,
        second_blur=0.0,
        last_sinc=0.0,
    )
    y, x = np.mgrid[:64, :64] / 64
    waves = [np.sin(5 * x + 1), np.cos(4 * y), np.sin(4 * x + 3 * y)]
    image = jnp.broadcast_to(jnp.asarray(0.8 * np.stack(waves, 2), jnp.float32), (8, 64, 64, 3))
    ours, reduced = np.asarray(jax.jit(calm)(KEY, image)), np.asarray(Bicubic(2)(KEY, image))
    assert np.median(np.abs(ours - reduced), axis=(1, 2, 3)).max() * 127.5 < 2.5
    shifted = np.abs(np.roll(reduced, 1, axis=2) - reduced)[:, 2:-2, 2:-2].mean()
    assert np.abs(ours - reduced)[:, 2:-2, 2:-2].mean() < 0.5 * shifted
    assert calm.label != RealESRGAN(scale=2).label
    assert dataclasses.replace(calm, grey=0.0).label != calm.label
    assert "second_blur 0.0" in calm.describe()


@pytest.mark.parametrize("channels", [1, 2])
def test_real_esrgan_takes_grey_images_and_refuses_others(channels):
    image = jax.ShapeDtypeStruct((2, 16, 16, channels), jnp.float32)
    if channels == 1:
        assert jax.eval_shape(RealESRGAN(), KEY, image).shape == (2, 4, 4, 1)
    else:
        with pytest.raises(UserError, match="2 channels"):
            jax.eval_shape(RealESRGAN(), KEY, image)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Bicubic(1), "scale: got 1"),
        (lambda: jax.eval_shape(Bicubic(3), KEY, IMAGES), "scale: got 3, .* 16x16"),
        (lambda: GaussianNoise((30.0, 10.0)), "strength: got"),
        (lambda: GaussianNoise(grey=1.5), "grey: got 1.5, .* from 0 to 1"),
        (lambda: Poisson(-1.0), "amount: got -1"),
        (lambda: Jpeg(0), "quality: got 0, .* from 1 to 100"),
        (lambda: Masks(width=(0.5, 2.0)), "width: got"),
        (lambda: Blur(kinds=("round",)), "kinds: got .*isotropic"),
        (lambda: Blur(0.0), "sigma: got 0"),
        (lambda: RealESRGAN(scale=0), "scale: got 0"),
        (lambda: RealESRGAN(resize=((0.5, 0.8), (0.3, 1.2))), r"resize\.0: got"),
        (lambda: RealESRGAN(quality=((30, 95), (30, 101))), r"quality\.1: got"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(make, told):
    with pytest.raises(UserError, match=told):
        make()


def test_edges_are_sobels():
    image = jax.random.uniform(jax.random.key(0), (1, 9, 7, 3), minval=-0.2, maxval=0.2)
    grey = np.asarray(image[0] @ jnp.array([0.299, 0.587, 0.114]))
    expected = np.hypot(*(ndimage.sobel(grey, axis=axis, mode="nearest") / 8 for axis in (0, 1)))
    edges = Edges()(jax.random.key(1), image)
    assert edges.shape == (1, 9, 7, 1)
    np.testing.assert_allclose(edges[0, ..., 0], 2 * np.clip(4 * expected, 0, 1) - 1, atol=1e-4)


def test_squares_are_masked_one_by_one():
    image = jax.random.uniform(jax.random.key(1), (2, 40, 56, 3))
    whole, squares = Masks()(KEY, image[:, :16, :16]), Masks(side=16)(KEY, image[:, :16, :16])
    np.testing.assert_array_equal(whole, squares)
    mask = np.asarray(Masks(side=16)(KEY, image)[..., -1])
    parts = [mask[:, top : top + 16, left : left + 16] for top in (0, 16) for left in (0, 16, 32)]
    assert all(0 < part.mean() < 1 for part in parts)
    assert not any((part == parts[0]).all() for part in parts[1:])
    with pytest.raises(UserError, match="side: got 0"):
        Masks(side=0)


def test_configs_with_its_former_name_are_read():
    assert build({"name": "degradations.RealESRGAN", "scale": 2}, "degradation") == RealESRGAN(scale=2)

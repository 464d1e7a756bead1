"""Restoration of clips without training, against closed forms."""

import numpy as np
import pytest

from jaxgan.augment.clip_degradations import MappedNoise
from jaxgan.augment.degradations import Bicubic, GaussianNoise, Identity, Masks
from jaxgan.evaluators.clip_baselines import (
    ClipBaseline,
    find_clip_baselines,
    known_median,
    temporal_mean,
    temporal_median,
    tuned,
)

COUNT = np.arange(5.0, dtype=np.float32) ** 2  # 0 1 4 9 16


def test_windows_end_with_the_clip():
    np.testing.assert_allclose(temporal_mean(COUNT[:, None], 3)[:, 0], [0.5, 5 / 3, 14 / 3, 29 / 3, 12.5])
    np.testing.assert_allclose(temporal_median(COUNT[:, None], 3)[:, 0], [0.5, 1, 4, 9, 12.5])
    np.testing.assert_allclose(temporal_median(COUNT[:, None], 99)[:, 0], 4)


def test_a_covered_pixel_is_the_median_of_its_known_values():
    clip = np.zeros((5, 2, 2, 3), np.float32)
    clip[..., :2] = COUNT[:, None, None, None]
    clip[2, 0, 0] = [77, 78, 1]  # known in the other four
    clip[:, 0, 1] = [77, 78, 1]  # never known
    clip[[0, 1, 2], 1, 1] = [77, 78, 1]  # known in the last two
    found = known_median(clip, 99)
    np.testing.assert_array_equal(found[2, 0, 0], [5, 5, 0])  # of 0 1 9 16
    np.testing.assert_array_equal(found[:, 0, 1], np.tile([0.0, 0.0, 1.0], (5, 1)))
    np.testing.assert_array_equal(found[:3, 1, 1], np.tile([12.5, 12.5, 0.0], (3, 1)))
    np.testing.assert_array_equal(found[:, 1, 0], clip[:, 1, 0])
    np.testing.assert_array_equal(known_median(clip, 3)[:, 1, 1, 2], [1, 1, 0, 0, 0])  # none of frames 0 to 2 shows it


def test_each_degradation_has_its_methods():
    names = {
        GaussianNoise(25.0): ["nlm", "temporal_mean", "temporal_median", "nlmeans"],
        MappedNoise(25.0): ["nlm", "temporal_mean", "temporal_median", "nlmeans"],
        Bicubic(scale=2): ["bicubic", "temporal_mean", "temporal_median"],
        Masks(kind="boxes"): ["biharmonic", "temporal_median"],
        Identity(): ["input", "temporal_mean", "temporal_median", "nlmeans"],
    }
    assert {each: [found.name for found in find_clip_baselines(each)] for each in names} == names
    assert [found.name for found in find_clip_baselines(None)] == ["input", *names[Identity()][1:]]


def still(noise, frames=7):
    """A condition of a scene that stands still, and its original uint8."""
    y, x = np.mgrid[:32, :40]
    scene = np.rint(127 + 80 * np.sin(x / 6)[..., None] * np.cos(y / 5)[..., None] * np.ones(3)).astype(np.uint8)
    original = np.repeat(scene[None], frames, axis=0)
    return original / np.float32(127.5) - 1 + np.float32(noise), original


def error(restored, original):
    return np.abs((restored + 1) * 127.5 - original).mean()


def test_methods_restore_still_clips():
    noise = np.random.default_rng(0).normal(0, 20 / 127.5, (7, 32, 40, 3))
    condition, original = still(noise)
    before = error(condition, original)
    for baseline in (tuned(each, [(condition, original)]) for each in find_clip_baselines(GaussianNoise(20.0))):
        restored = baseline.restore(condition, baseline.values[0])
        assert restored.shape == original.shape
        assert error(restored, original) < 0.6 * before, baseline.name
        if baseline.name.startswith("temporal"):
            assert baseline.values == (13,)  # the widest: nothing moves
    small = original.reshape(7, 16, 2, 20, 2, 3).mean(axis=(2, 4)).astype(np.float32) / 127.5 - 1
    for baseline in find_clip_baselines(Bicubic(scale=2)):
        assert error(baseline.restore(small, baseline.values[0]), original) < 3.0, baseline.name


def test_covered_pixels_of_what_stands_still_are_found_and_the_rest_is_filled():
    condition, original = still(0.0)
    mask = np.zeros((*condition.shape[:3], 1), np.float32)
    for number in range(7):
        mask[number, 4:12, 5 * number : 5 * number + 5] = 1  # moves on
    mask[:, 20:24, 10:16] = 1  # stands
    condition = np.concatenate([condition * (1 - mask), mask], axis=-1)
    biharmonic, median = find_clip_baselines(Masks(kind="boxes"))
    restored = median.restore(condition, 5)
    np.testing.assert_allclose(restored[:, :16], original[:, :16] / 127.5 - 1, atol=1e-6)
    framewise = biharmonic.restore(condition, 0)
    np.testing.assert_allclose(restored[:, 20:24, 10:16], framewise[:, 20:24, 10:16], atol=0.02)
    assert error(restored, original) < error(framewise, original) < error(condition[..., :3], original)
    known = np.concatenate([condition[..., :3], np.zeros_like(mask)], axis=-1)
    np.testing.assert_allclose(median.restore(known, 5), condition[..., :3], atol=1e-6)


def test_the_best_value_is_taken():
    tried = []

    def restore(clip, value):
        tried.append(value)
        return clip + np.float32(abs(value - 3))

    pair = still(0.0)
    assert tuned(ClipBaseline("near three", restore, (1, 2, 3, 4, 5)), [pair, pair]).values == (3,)
    assert set(tried) == {1, 2, 3, 4}
    with pytest.raises(ValueError, match="pairs of clips, got none"):
        tuned(ClipBaseline("near three", restore, (1, 2)), [])


def test_a_map_of_the_noise_is_left_out():
    noisy = np.random.default_rng(0).normal(0, 0.2, (5, 8, 8, 3)).astype(np.float32)
    mapped = np.concatenate([noisy, np.full((5, 8, 8, 1), 0.2, np.float32)], axis=-1)
    plain, told = (find_clip_baselines(each)[:2] for each in (GaussianNoise(25.0), MappedNoise(25.0)))
    for first, second in zip(plain, told):
        np.testing.assert_array_equal(second.restore(mapped, 3), first.restore(noisy, 3))

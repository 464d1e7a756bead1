"""The sliced Wasserstein distance of known sets."""

import math

import numpy as np
import pytest
import scipy.stats

from jaxgan.metrics.sliced_wasserstein import PatchDescriptors, patch_descriptors, sliced_wasserstein_distance


def images(count, size=32, channels=1, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, channels), dtype=np.uint8)


def test_in_one_dimension_it_is_the_wasserstein_distance_of_scipy():
    random = np.random.default_rng(0)
    first, second = random.normal(size=(40, 1)), random.gamma(2.0, size=(40, 1))
    expected = 1000 * scipy.stats.wasserstein_distance(first[:, 0], second[:, 0])
    assert sliced_wasserstein_distance(first, second) == pytest.approx(expected, rel=1e-6)


def test_a_shift_has_a_closed_form():
    points = np.random.default_rng(0).normal(size=(10, 6))
    shift = np.array([3.0, 0, -4.0, 0, 0, 0])
    expected = 1000 * 5 * math.gamma(3) / (math.sqrt(math.pi) * math.gamma(3.5))  # mean of |cosine| in 6 dimensions
    distance = sliced_wasserstein_distance(points, points + shift, directions=20_000)
    assert distance == pytest.approx(expected, rel=0.02)


def test_descriptors_are_patches_of_each_level_with_mean_0_and_variance_1_by_channel():
    pictures = images(70, channels=3)
    pictures[..., 2] = 9  # a channel that never changes
    descriptors = patch_descriptors(pictures, patches_per_image=5, seed=1)
    assert {size: patches.shape for size, patches in descriptors.items()} == {32: (350, 147), 16: (350, 147)}
    by_channel = descriptors[16].reshape(350, 3, 49)
    np.testing.assert_allclose(by_channel.mean(axis=(0, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(by_channel.std(axis=(0, 2)), [1, 1, 0], atol=1e-4)


def test_descriptors_hold_patches_of_the_image_itself_where_there_is_one_level():
    picture = images(1, size=9)
    patches = patch_descriptors(picture, patches_per_image=20)[9]
    windows = np.lib.stride_tricks.sliding_window_view(picture[0, :, :, 0].astype(float), (7, 7)).reshape(-1, 49)
    for patch in patches:
        # normalised by one shift and one scale, a patch correlates fully with the window it was cut from
        assert max(np.corrcoef(patch, window)[0, 1] for window in windows) == pytest.approx(1, abs=1e-5)


def test_equal_seeds_give_equal_numbers_and_other_images_a_larger_distance():
    noise, again = (patch_descriptors(images(50, size=16), patches_per_image=40, seed=3)[16] for _ in range(2))
    np.testing.assert_array_equal(noise, again)
    fresh = patch_descriptors(images(50, size=16, seed=1), patches_per_image=40, seed=4)[16]
    smooth = np.repeat(np.repeat(images(50, size=4), 4, axis=1), 4, axis=2)
    blocks = patch_descriptors(smooth, patches_per_image=40, seed=4)[16]
    to_fresh = sliced_wasserstein_distance(noise, fresh, seed=5)
    assert to_fresh == sliced_wasserstein_distance(noise, fresh, seed=5)
    assert 2 * to_fresh < sliced_wasserstein_distance(noise, blocks, seed=5)


def test_images_smaller_than_a_patch_are_refused():
    with pytest.raises(ValueError, match="at least 7"):
        patch_descriptors(images(2, size=6))


def clips(count, frames=8, size=16, seed=0):
    """Smooth textures that drift to the right, one pixel a frame."""
    random = np.random.default_rng(seed)
    wide = random.integers(0, 256, (count, size, (size + frames) // 4 + 1, 1), dtype=np.uint8).repeat(4, axis=2)
    return np.stack([wide[:, :, frames - t : frames - t + size] for t in range(frames)], axis=1)


def test_patches_of_clips_reach_over_frames():
    one = clips(1, frames=4, size=7)
    patches = patch_descriptors(one, patches_per_image=3)[7]
    assert patches.shape == (3, 4 * 7 * 7)
    values = one[0, ..., 0].astype(np.float32)
    expected = (values - values.mean()) / values.std()  # there is one place only
    np.testing.assert_allclose(patches, np.stack([expected.ravel()] * 3), rtol=1e-4, atol=1e-4)
    levels = patch_descriptors(clips(5, size=32), patches_per_image=6)
    assert {size: patches.shape for size, patches in levels.items()} == {32: (30, 196), 16: (30, 196)}


def test_patches_of_clips_do_not_depend_on_how_these_were_parted():
    whole, several = clips(30), PatchDescriptors(patches_per_image=5)
    for start in (0, 3, 20):
        several.add(whole[start : {0: 3, 3: 20, 20: 30}[start]])
    np.testing.assert_array_equal(several.descriptors()[16], patch_descriptors(whole, patches_per_image=5)[16])


def test_frames_that_stand_still_or_are_shuffled_are_far_from_those_that_move():
    def distance(first, second):
        described = [
            patch_descriptors(each, patches_per_image=40, seed=n)[16] for n, each in enumerate((first, second))
        ]
        return sliced_wasserstein_distance(*described, directions=128)

    real, fresh = clips(60), clips(60, seed=1)
    still, shuffled = fresh[:, [0] * 8], fresh[:, [3, 0, 6, 2, 7, 5, 1, 4]]
    baseline = distance(real, fresh)
    assert distance(real, still) > 1.5 * baseline
    assert distance(real, shuffled) > 1.5 * baseline


def test_clips_of_too_few_frames_are_refused():
    with pytest.raises(ValueError, match="got clips of 3 frames, expected at least 4"):
        patch_descriptors(clips(2, frames=3))

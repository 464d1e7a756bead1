"""Temporal scores of restored clips, against closed forms."""

import numpy as np
import pytest

from jaxgan.metrics.temporal import clip_motion, tlp, tof, warping_error


def waves(step, frames=4, height=64, width=80, offset=0.0):
    """A clip uint8 `[t,h,w,3]` of a texture that moves by `step` (right, down) a frame."""
    y, x = np.mgrid[:height, :width].astype(float)
    clip = []
    for number in range(frames):
        right, down = x - number * step[0] + offset, y - number * step[1]
        grey = 127 + 60 * np.sin(right / 5 + np.sin(down / 7)) + 50 * np.cos(down / 4 - right / 11)
        clip.append(np.stack([grey, grey, 255 - grey], axis=-1))
    return np.rint(clip).astype(np.uint8)


def test_tof_is_how_far_the_motions_are_apart():
    original = waves((2, 0))
    motion = clip_motion(original)
    np.testing.assert_array_equal(tof(original, motion), np.zeros(3))
    np.testing.assert_allclose(tof(waves((2, 0), offset=3.0), motion), 0.0, atol=0.05)  # wherever it is
    still = np.repeat(original[:1], 4, axis=0)
    np.testing.assert_allclose(tof(still, motion), 2.0, atol=0.05)
    np.testing.assert_allclose(tof(waves((2, 1.5)), motion), 1.5, atol=0.05)
    with pytest.raises(ValueError, match=r"got \(3, 64, 80\) .* expected \(4, 64, 80\)"):
        tof(original[:3], motion)
    with pytest.raises(ValueError, match="more than 16 pixels a side"):
        tof(original[:, :16], clip_motion(original[:, :16]))


def test_the_warping_error_is_the_change_beside_the_motion():
    original = waves((2, 1))
    motion = clip_motion(original)
    assert motion.visible.mean() > 0.9
    assert (warping_error(original, motion) < 1.5).all()
    flickering = np.clip(original.astype(int) + np.array([0, 20, 0, 20])[:, None, None, None], 0, 255).astype(np.uint8)
    np.testing.assert_allclose(warping_error(flickering, motion), 1e3 * (20 / 255) ** 2, rtol=0.15)
    still = np.repeat(original[:1], 4, axis=0)  # its own motion tells nothing: that of the original counts
    unseen = motion._replace(visible=np.zeros_like(motion.visible))
    assert (warping_error(still, motion) > 5 * warping_error(original, motion)).all()
    assert np.isnan(warping_error(still, unseen)).all()
    grey = np.full((3, 32, 32, 1), 9, np.uint8)
    grey[1] = 9 + 51
    np.testing.assert_allclose(warping_error(grey, clip_motion(np.zeros_like(grey))), 1e3 * 0.2**2, rtol=1e-6)


def test_tlp_is_how_far_the_perceived_changes_are_apart():
    def distance(first, second):
        return np.abs(first - second).mean(axis=(1, 2, 3))

    original = np.zeros((3, 8, 8, 3), np.uint8)
    restored = original.copy()
    restored[1] = 51
    np.testing.assert_allclose(tlp(restored, original, distance), 100 * 51 / 127.5, rtol=1e-6)
    np.testing.assert_array_equal(tlp(restored, restored, distance), 0.0)
    with pytest.raises(ValueError, match="expected equal shapes"):
        tlp(restored[:1], original[:1], distance)

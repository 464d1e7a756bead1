"""Flow against OpenCV's, warping and visibility against closed forms."""

import numpy as np
import pytest

from jaxgan.metrics.optical_flow import flows, grey, seen, warp

# cv2.calcOpticalFlowFarneback(first, second, None, 0.5, 3, 15, 3, 5, 1.2, 0) of OpenCV 5.0:
# the mean, and [::h//2, ::w//2]
OPENCV = {
    (97, 130): (
        (2.46887, -1.24906),
        [
            [[1.9706, -0.9901], [2.3192, -1.0429]],
            [[2.4672, -1.2467], [2.4979, -1.2491]],
            [[2.3717, -1.1058], [2.4653, -1.1229]],
        ],
    ),
    (40, 50): ((2.38592, -1.26121), [[[1.9681, -0.9891], [2.5054, -1.0028]], [[2.3658, -1.3008], [2.5117, -1.2372]]]),
    (20, 24): ((2.50107, -1.19275), [[[1.968, -0.989], [2.5287, -1.2726]], [[2.402, -1.2009], [2.5253, -1.2668]]]),
}


def waves(height, width, right=0.0, down=0.0):
    """A texture uint8 `[h,w]` that is moved."""
    y, x = np.mgrid[:height, :width].astype(float)
    x, y = x - right, y - down
    return np.rint(127 + 60 * np.sin(x / 5 + np.sin(y / 7)) + 50 * np.cos(y / 4 - x / 11)).astype(np.uint8)


@pytest.mark.parametrize("size", OPENCV)
def test_flow_is_that_of_opencv(size):
    mean, places = OPENCV[size]
    found = flows(np.stack([waves(*size), waves(*size, 2.5, -1.25)]))[0]
    np.testing.assert_allclose(found.mean(axis=(0, 1)), mean, atol=1e-4)
    np.testing.assert_allclose(found[:: size[0] // 2, :: size[1] // 2], places, atol=1e-3)


def test_each_step_of_a_clip_has_its_flow():
    clip = np.stack([waves(48, 64, 3.0 * step, 2.0 * max(0, step - 1)) for step in range(4)])
    found = flows(clip)[:, 12:-12, 12:-12].mean(axis=(1, 2))
    np.testing.assert_allclose(found, [[3, 0], [3, 2], [3, 2]], atol=0.02)
    assert not flows(np.full((2, 40, 40), 7.0)).any()
    with pytest.raises(ValueError, match="got 1 frames, expected 2 or more"):
        flows(clip[:1])


def test_warping_is_a_shift_that_ends_at_the_edges():
    image = np.random.default_rng(0).integers(0, 256, (1, 9, 12, 3)).astype(np.uint8)
    flow = np.zeros((1, 9, 12, 2), np.float32)
    flow[..., 0], flow[..., 1] = 2, -1
    expected = np.pad(image, ((0, 0), (1, 0), (0, 2), (0, 0)), mode="edge")[:, :9, 2:]
    np.testing.assert_array_equal(warp(image, flow), expected)
    half = np.full_like(flow, 0.5)
    np.testing.assert_allclose(
        warp(image, half)[0, 3, 4], image[0, 3:5, 4:6].mean(axis=(0, 1), dtype=np.float64), rtol=1e-6
    )
    np.testing.assert_array_equal(warp(image[:, :1, :1], half[:, :1, :1]), image[:, :1, :1])


def test_pixels_with_consistent_flow_are_visible_in_both_frames():
    there, back = np.zeros((1, 10, 10, 2), np.float32), np.zeros((1, 10, 10, 2), np.float32)
    there[..., 0], back[..., 0] = 3, -3
    back[0, :5, :, 0] = -1  # off by 2 pixels: 4 > 0.01 (9 + 1) + 0.5
    expected = np.zeros((10, 10), bool)
    expected[5:, :7] = True  # the others leave the frame
    np.testing.assert_array_equal(seen(there, back)[0], expected)


def test_grey_is_that_of_opencv():
    rgb = np.random.default_rng(0).integers(0, 256, (4, 5, 3)).astype(np.uint8)
    opencv = [[175, 68, 13, 186, 158], [166, 191, 163, 175, 138], [93, 84, 65, 94, 19], [149, 134, 127, 220, 214]]
    np.testing.assert_array_equal(grey(rgb), opencv)  # cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY) 5.0
    np.testing.assert_array_equal(grey(rgb[..., :1]), rgb[..., 0])
    with pytest.raises(ValueError, match="got 2 channels, expected 1 or 3"):
        grey(rgb[..., :2])

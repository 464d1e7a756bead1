"""Velocities of whole clips."""

import numpy as np
import pytest

from jaxgan.metrics import velocity
from jaxgan.metrics.velocity import velocities

FRAMES, SIDE = 5, 24


def blobs(start, step, width=3.0):
    """A clip of a soft blob that moves by `step` (right, down) a frame."""
    y, x = np.mgrid[:SIDE, :SIDE]
    places = np.add(start, np.arange(FRAMES)[:, None] * np.asarray(step, float))
    squares = (x - places[:, 0, None, None]) ** 2 + (y - places[:, 1, None, None]) ** 2
    return (200 * np.exp(-squares / (2 * width**2))).astype(np.uint8)[..., None]


@pytest.mark.parametrize("step", [(0.5, 0.0), (0.0, -0.5), (0.4, 0.3), (0.0, 0.0)])
def test_velocities_do_not_depend_on_position(step):
    clips = np.stack([blobs((9, 12), step), blobs((13, 14), step, width=2.5)])
    found = velocities(clips)
    assert found.velocity.shape == (2, (FRAMES - 1) * 2)
    np.testing.assert_allclose(found.velocity.reshape(2, -1, 2), np.broadcast_to(step, (2, FRAMES - 1, 2)), atol=0.05)
    assert found.change == pytest.approx(np.abs(np.diff(clips.astype(float), axis=1)).mean(axis=(1, 2, 3, 4)))


def test_many_clips_are_looked_at_in_parts(monkeypatch):
    clips = np.stack([blobs((12, 12), (0.1 * step, 0.2)) for step in range(5)])
    whole = velocities(clips)
    monkeypatch.setattr(velocity, "BLOCK_BYTES", 4 * 2 * FRAMES * SIDE * SIDE)
    for found, expected in zip(velocities(clips), whole):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_flat_clips_have_no_velocity_and_single_frames_raise():
    assert not velocities(np.full((2, 3, 8, 8, 3), 7, np.uint8)).velocity.any()
    with pytest.raises(ValueError, match="got clips of 1 frames, expected 2 or more"):
        velocities(np.zeros((2, 1, 8, 8, 3), np.uint8))

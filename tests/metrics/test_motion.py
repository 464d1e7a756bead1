"""Motion of known clips: a blob on a known path, and controls that move wrongly or not at all."""

import numpy as np
import pytest
import scipy.stats

from jaxgan.metrics.motion import changes, flicker, identity_kept, motion, speed_distance, stillest, track

SIDE, RADIUS = 32, 4.0


def paths(count, frames, seed=0, speeds=(0.5, 2.0)):
    """Centres `[n,t,2]` that are straight on between turns where the blob touches an edge; and the speeds `[n]`."""
    random = np.random.default_rng(seed)
    angle, speed = random.uniform(0, 2 * np.pi, count), random.uniform(*speeds, count)
    velocity = speed[:, None] * np.stack([np.sin(angle), np.cos(angle)], axis=1)
    room = SIDE - 2 * RADIUS
    straight = random.uniform(0, room, (count, 1, 2)) + velocity[:, None] * np.arange(frames)[:, None]
    turns, over = np.divmod(straight, room)
    return np.where(turns % 2 == 1, room - over, over) + RADIUS - 0.5, speed


def drawn(centres, radius=RADIUS):
    """Clips uint8 `[n,t,32,32,1]` of a disc with a soft edge, at places in pixels from the middle of the first."""
    places = np.arange(SIDE)
    rows, columns = (np.square(places - centres[..., axis, None]) for axis in (0, 1))
    distance = np.sqrt(rows[..., :, None] + columns[..., None, :])
    return np.rint(255 * np.clip(radius - distance + 0.5, 0, 1)).astype(np.uint8)[..., None]


@pytest.fixture(scope="module")
def reals():
    centres, speeds = paths(60, 16)
    return drawn(centres), centres, speeds


@pytest.mark.parametrize("frames", [16, 40])
def test_straight_paths_between_bounces_are_straight(frames):
    centres, speeds = paths(40, frames, seed=frames)
    clips = drawn(centres)
    np.testing.assert_allclose(track(clips).centres, centres, atol=0.1)
    found = motion(clips)
    assert found.moves.all()
    assert found.straight == 1.0
    assert found.distance.max() < 0.3
    np.testing.assert_allclose(found.speed, speeds, atol=0.2)
    np.testing.assert_allclose(found.speed.mean(), speeds.mean(), atol=0.05)


def test_the_noise_of_a_generator_does_not_matter(reals):
    clips, _, speeds = reals
    random = np.random.default_rng(1)
    specks = 200 * (random.random(clips.shape) < 0.01)
    noisy = np.clip(clips + random.normal(0, 12, clips.shape) + specks, 0, 255).astype(np.uint8)
    found = motion(noisy)
    assert found.straight >= 0.98
    assert speed_distance(found.speed, speeds) < 0.15


def test_colours_and_large_things_are_tracked_too():
    random = np.random.default_rng(0)
    centres = np.clip(15.5 + np.cumsum(random.uniform(-0.5, 0.5, (5, 1, 2)) * np.ones((5, 6, 2)), axis=1), 13, 18)
    clips = drawn(centres, radius=13.0)
    np.testing.assert_allclose(track(np.repeat(clips, 3, axis=4)).centres, centres, atol=0.2)


def test_controls(reals):
    clips, centres, speeds = reals
    random = np.random.default_rng(2)
    repeated = motion(np.repeat(clips[:, :1], 16, axis=1))
    assert not repeated.moves.any()
    assert repeated.straight == 0.0
    assert speed_distance(repeated.speed, speeds) == pytest.approx(speeds.mean())
    shuffled = motion(np.stack([clip[random.permutation(16)] for clip in clips]))
    assert shuffled.moves.all()
    assert shuffled.straight < 0.05
    jittered = motion(drawn(centres + random.normal(0, 1.5, centres.shape)))
    assert jittered.straight < 0.1
    assert jittered.distance.mean() == pytest.approx(1.5 * np.sqrt(2), rel=0.3)
    assert motion(drawn(centres + random.normal(0, 0.3, centres.shape))).straight > 0.95
    held = motion(np.repeat(clips[:, :8], 2, axis=1))  # each frame twice
    assert held.straight > 0.9
    assert held.speed.mean() == pytest.approx(speeds.mean() * 7 / 15, rel=0.05)
    spliced = motion(np.concatenate([clips[:, :8], np.roll(clips, 1, axis=0)[:, 8:]], axis=1))
    assert spliced.straight < 0.1


def test_a_turn_in_the_middle_of_the_picture_is_not_straight():
    there = 8.0 + np.concatenate([np.arange(9), np.arange(7, -1, -1)])  # from 8 to 16 and back, not at an edge
    centres = np.stack([there, np.full(17, 15.0)], axis=-1)[None]
    assert motion(drawn(centres)).straight == 0.0
    at_the_edge = centres + np.array([SIDE - RADIUS - 0.5 - 16.0, 0.0])
    assert motion(drawn(at_the_edge)).straight == 1.0


def test_lost_or_black_objects_are_not_straight(reals):
    clips = reals[0][:4].copy()
    clips[1, 7] = 0
    clips[2] = 0
    found = motion(clips)
    assert found.moves.tolist() == [True, True, False, True]
    assert np.isinf(found.distance).tolist() == [False, True, True, False]
    assert found.speed[2] == 0.0
    assert found.straight == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="got clips of 2 frames, expected at least 3"):
        motion(clips[:, :2])


def test_the_distance_of_speeds_is_that_of_scipy():
    random = np.random.default_rng(0)
    first, second = random.normal(size=40), np.round(random.gamma(2.0, size=70), 1)
    expected = scipy.stats.wasserstein_distance(first, second)
    assert speed_distance(first, second) == pytest.approx(expected, rel=1e-9)
    assert speed_distance(first, first) == 0.0
    with pytest.raises(ValueError, match="got sets of 0 and 70 numbers"):
        speed_distance(first[:0], second)


def test_identity_is_the_most_frequent_class_of_each_clip():
    assert identity_kept(np.array([[3, 3, 3, 3], [1, 2, 1, 1]])) == pytest.approx(7 / 8)
    assert identity_kept(np.array([[0, 1, 2, 3]])) == 0.25
    with pytest.raises(ValueError, match="at least one frame"):
        identity_kept(np.zeros((0, 4), np.int32))


def test_flicker_is_measured_where_the_reference_is_still():
    random = np.random.default_rng(0)
    still = np.repeat(random.integers(20, 200, (2, 1, 8, 8, 3)), 5, axis=1)
    reference = (still + random.integers(0, 2, still.shape)).astype(np.uint8)
    output = (still + 3 * random.integers(0, 2, still.shape)).astype(np.uint8)
    reference[:, :, :4], output[:, :, :4] = 0, 0
    reference[:, 1::2, :4] = 255  # which moves, and is not counted
    found = flicker(output, reference)
    assert found.reference == pytest.approx(0.5, rel=0.1)
    assert found.pixels == 2 * 4 * 4 * 8 * 3
    assert found.ratio == pytest.approx(3.0, rel=0.1)
    assert flicker(reference, reference).ratio == 1.0
    assert flicker(output, still.astype(np.uint8)).ratio is None
    with pytest.raises(ValueError, match="expected equal shapes"):
        flicker(output, reference[:, :4])
    moving = np.zeros((1, 2, 4, 4, 1), np.uint8)
    moving[:, 1] = 9
    with pytest.raises(ValueError, match="no still pixels"):
        flicker(moving, moving)


def test_the_stillest_pixels_are_those_that_change_least():
    clips = np.random.default_rng(0).integers(0, 256, (3, 5, 4, 6, 2), np.uint8)
    clips[1, :, :2] = 7
    steps = np.abs(np.diff(clips.astype(int), axis=1))
    counts = changes(clips)
    np.testing.assert_array_equal(counts.sum(axis=1), 4 * 4 * 6 * 2)
    np.testing.assert_array_equal(counts @ np.arange(256), steps.reshape(3, -1).sum(axis=1))
    ordered = np.sort(steps.ravel())
    for share in (0.1, 0.25, 0.5, 1.0):
        expected = ordered[: int(share * ordered.size)].mean()
        assert stillest(counts.sum(axis=0), share) == pytest.approx(expected, abs=0.5)
    with pytest.raises(ValueError, match="got no pixels"):
        stillest(counts[0], 0.0)

"""Temporal scores of restored clips, combined from parts."""

import numpy as np
import pytest

from jaxgan.evaluators import time_scores
from jaxgan.evaluators.time_scores import Mean, TimeScores


def clip(seed, frames=4, side=40):
    """A soft texture that stands, with a little noise, uint8 `[t,h,w,3]`."""
    random = np.random.default_rng(seed)
    noise = random.uniform(0, 255, (side, side, 3))
    for _ in range(4):
        noise = (noise + np.roll(noise, 1, 0) + np.roll(noise, 1, 1)) / 3
    return (noise + random.integers(0, 2, (frames, side, side, 3))).clip(0, 255).astype(np.uint8)


def flickering(original):
    restored = original.astype(int)
    restored[::2] += 10
    return restored.clip(0, 255).astype(np.uint8)


def test_flicker_is_distinguished_from_the_original():
    originals = [clip(0), clip(1), 255 * (np.arange(3) % 2).repeat(300).reshape(3, 10, 10, 3).astype(np.uint8)]
    scores = TimeScores(originals, distance=lambda one, other: np.abs(one - other).mean(axis=(1, 2, 3)))
    found, own = scores([*map(flickering, originals[:2]), originals[2]]), scores.of_originals
    assert found["flicker"][:2] == pytest.approx([10.0, 10.0], rel=0.02)
    assert own["flicker"][:2] == pytest.approx([0.5, 0.5], rel=0.05)
    assert found["warping_error"][:2] == pytest.approx([1e3 * (10 / 255) ** 2] * 2, rel=0.1)
    assert max(own["warping_error"][:2]) < 0.1 * min(found["warping_error"][:2])
    assert found["tlp"] == pytest.approx([100 * 9.5 / 127.5] * 2 + [0.0], rel=0.02)
    assert max(found["tof"][:2]) < 1.0
    assert np.isnan(found["tof"][2])  # too small
    assert np.isnan(found["flicker"][2])  # nothing stands still
    assert set(own) == {"warping_error", "flicker"}


def test_the_original_is_looked_at_once(monkeypatch):
    originals, calls = [clip(0), clip(1)], []
    monkeypatch.setattr(time_scores, "clip_motion", lambda *given: calls.append(given) or motion(*given))
    scores = TimeScores(originals)
    assert scores(originals) == scores(originals)
    assert scores(originals)["flicker"] == scores.of_originals["flicker"]
    assert len(calls) == 2


motion = time_scores.clip_motion


def test_of_many_clips_some_are_looked_at(monkeypatch):
    originals = [clip(seed) for seed in range(5)]
    whole = TimeScores(originals)(list(map(flickering, originals)))
    monkeypatch.setattr(time_scores, "MOST", 3 * originals[0][..., 0].size)
    part = TimeScores(originals)(list(map(flickering, originals)))
    assert part == {name: values[::2] for name, values in whole.items()}


def test_means_are_put_together():
    parts = Mean.of(np.array([1.0, 2.0, np.nan])) + Mean.of(np.array([6.0])) + Mean()
    assert parts == Mean(9.0, 3)
    assert parts.value == 3.0
    assert np.isnan(Mean().value)

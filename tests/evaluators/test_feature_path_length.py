"""Path length of generators whose images are known."""

import numpy as np
import pytest

from jaxgan.evaluators import path_length
from jaxgan.evaluators.path_length import feature_path_length


def draw(codes, rows):
    """Images whose first pixels are the codes, a tenth as large."""
    assert len(codes) == rows.stop - rows.start == 25  # no more are held
    return 0.1 * np.pad(codes, [(0, 0), (0, 4 - codes.shape[1])]).reshape(-1, 2, 2, 1)


@pytest.fixture(autouse=True)
def _few_at_once(monkeypatch):
    monkeypatch.setattr(path_length, "PATHS_AT_ONCE", 25)


def features(images):
    return (images.reshape(len(images), -1).astype(np.float64) - 127.5) / 127.5


def test_a_straight_path_of_an_even_generator_is_its_length_squared():
    starts, ends = np.zeros((50, 2), np.float32), np.full((50, 2), 3.0, np.float32)
    length = feature_path_length(draw, features, starts, ends, straight=True)
    assert length == pytest.approx(0.01 * 18, rel=1e-2)


def test_a_circle_is_as_long_as_its_angle():
    starts, ends = np.tile([[1.0, 0.0]], (50, 1)), np.tile([[0.0, 2.0]], (50, 1))
    length = feature_path_length(draw, features, starts, ends, straight=False)
    assert length == pytest.approx(0.01 * 2 * (np.pi / 2) ** 2, rel=1e-2)

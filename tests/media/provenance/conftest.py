"""Gives each test its own key."""

import pytest


@pytest.fixture
def installation(tmp_path, monkeypatch):
    """A separate home folder for a test, without a key."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))

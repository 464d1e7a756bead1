"""A key of its own for each test."""

import pytest


@pytest.fixture
def installation(tmp_path, monkeypatch):
    """A home of its own for a test: no key there yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))

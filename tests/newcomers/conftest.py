"""Makes the example packages importable, as a user's own packages beside jaxgan are."""

import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).parent


@pytest.fixture(autouse=True)
def packages_beside(monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))
    yield
    for name in [name for name in sys.modules if (HERE / name.partition(".")[0]).is_dir()]:
        del sys.modules[name]

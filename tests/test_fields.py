"""What an example is made of, and what does not fit what is asked for."""

import dataclasses
import json
import re

import numpy as np
import pytest

from jaxgan import game
from jaxgan.errors import UserError
from jaxgan.fields import Field, Spec, fit, frames, label_field, nbytes, picture_fields, pixel_field

CLIP = {"image": pixel_field(8, 6, 3, frames=5), "caption": Field((7,), "int32", "tokens"), "weight": Field()}


def test_sizes_and_bytes_are_those_of_the_arrays():
    arrays = {name: np.zeros(field.shape, field.dtype) for name, field in CLIP.items()}
    assert nbytes(CLIP) == sum(array.nbytes for array in arrays.values()) == 5 * 8 * 6 * 3 + 7 * 4 + 4
    image = CLIP["image"]
    assert (image.frames, image.height, image.width, image.channels) == (5, 8, 6, 3)
    assert pixel_field(8, 6, 3).frames is None
    with pytest.raises(ValueError, match=r"unknown: pixels \[\?, \?, 3\]"):
        nbytes(picture_fields(None, None, 3))


def test_an_example_shows_the_frames_of_its_longest_clip():
    assert frames(CLIP) == 5
    assert frames({**CLIP, "before": pixel_field(8, 6, 3, frames=9), "other": pixel_field(8, 6, 3)}) == 9
    assert frames(picture_fields(4, 4, 1, ("a", "b"))) == frames({"caption": CLIP["caption"]}) == 1


def test_a_label_is_there_where_there_are_classes():
    assert set(picture_fields(4, 4, 1)) == {"image"}
    assert picture_fields(4, 4, 1, ("a", "b"))["label"].names == ("a", "b")


def test_a_field_comes_back_from_json():
    for field in (*CLIP.values(), label_field(("a", "b")), pixel_field(None, None, 4)):
        assert Field(**json.loads(json.dumps(dataclasses.asdict(field), allow_nan=False))) == field
        hash(field)


def test_fields_that_cannot_be():
    with pytest.raises(ValueError, match="expected one of pixels, label, tokens"):
        Field((3,), "int32", "text")
    with pytest.raises(ValueError, match="height, width and channels"):
        Field((8, 8), "uint8", "mask")


def test_the_vocabulary_has_them():
    assert game.Field is Field
    assert game.Spec is Spec


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"image": pixel_field(None, None, None, frames=5)},
        {"image": Field((None, 8, 6, 3), "float32", "pixels")},  # as a network sees them
        {"caption": Field((None,), "int64", "tokens"), "weight": Field()},
    ],
)
def test_what_fits(asked):
    fit(asked, CLIP, asker="config.task", giver="clips")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (
            {"image": pixel_field(None, None, None)},
            "asks for 'image' (pixels [?, ?, ?]), clips gives it as pixels [5, 8, 6, 3]",
        ),
        (
            {"image": pixel_field(8, 8, 3, frames=5)},
            "asks for 'image' (pixels [5, 8, 8, 3]), clips gives it as pixels [5,",
        ),
        ({"caption": Field((7,), "int32", "label")}, "(label int32 [7]), clips gives it as tokens int32 [7]"),
        ({"caption": Field((7,), "float32", "tokens")}, "(tokens float32 [7]), clips gives it as tokens int32 [7]"),
        (
            {"label": label_field(("a", "b"))},
            "asks for 'label' (label int32 of 2 classes), clips gives 'image' (pixels [5, 8, 6, 3]), "
            "'caption' (tokens int32 [7]), 'weight' (number float32): look for labels",
        ),
    ],
)
def test_what_does_not_fit_is_one_line(asked, told):
    with pytest.raises(UserError, match=re.escape(told)) as raised:
        fit(asked, CLIP, asker="config.task", giver="clips", advice={"label": "look for labels"})
    assert str(raised.value).startswith("config.task asks for ")
    assert "\n" not in str(raised.value)


def test_names_are_compared_where_some_are_asked_for():
    given = picture_fields(4, 4, 1, ("a", "b"))
    fit({"label": label_field()}, given, asker="x", giver="y")
    fit({"label": label_field(("a", "b"))}, given, asker="x", giver="y")
    with pytest.raises(UserError, match="of 2 classes"):
        fit({"label": label_field(("b", "a"))}, given, asker="x", giver="y")

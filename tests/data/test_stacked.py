"""Stacked digits: three grey images of the base as channels."""

import numpy as np
import pytest

from jaxgan.building.opening import open_source
from jaxgan.building.pipelines import make_pipeline
from jaxgan.config.run import DataConfig
from jaxgan.errors import UserError
from jaxgan.fields import pixel_field


def config_of(digits_dir, name="stacked:500:jaxgan_digits", **changes):
    return DataConfig(name=name, data_dir=str(digits_dir), **changes)


def test_every_channel_is_a_digit_of_the_base_and_the_label_says_which(digits_dir):
    source = open_source(config_of(digits_dir), "test")
    base = open_source(DataConfig(name="jaxgan_digits", data_dir=str(digits_dir)), "test").read(range(500))
    classes = {image.tobytes(): int(label) for image, label in zip(base["image"], base["label"])}
    read = source.read(range(40))
    assert read["image"].shape == (40, 28, 28, 3)
    assert read["image"].dtype == np.uint8
    for image, label in zip(read["image"], read["label"]):
        a, b, c = (classes[np.ascontiguousarray(image[..., channel]).tobytes()] for channel in range(3))
        assert label == 100 * a + 10 * b + c


def test_an_example_is_the_same_in_every_reading(digits_dir):
    source, again = (open_source(config_of(digits_dir), "train") for _ in range(2))
    rows = [7, 3, 7, 499]
    first, second = source.read(rows), again.read(rows)
    np.testing.assert_array_equal(first["image"], second["image"])
    np.testing.assert_array_equal(first["image"][0], first["image"][2])
    assert source.spec == again.spec
    assert source.spec.fingerprint != open_source(config_of(digits_dir), "test").spec.fingerprint


def test_the_spec_has_a_thousand_classes(digits_dir):
    spec = open_source(config_of(digits_dir, "stacked:jaxgan_digits", resolution=32, fit="pad"), "train").spec
    assert (spec.size, spec.image, len(spec.classes)) == (60_000, pixel_field(32, 32, 3), 1000)
    assert spec.classes[123] == "1 2 3"


def test_the_pipeline_streams_and_preloads_the_same(digits_dir):
    batches = []
    for cache in ("host", "stream"):
        pipeline = make_pipeline(config_of(digits_dir, cache=cache), seed=0)
        batches.append(next(pipeline.batches(0, 8, slice(0, 8))))
    np.testing.assert_array_equal(batches[0]["image"], batches[1]["image"])
    np.testing.assert_array_equal(batches[0]["label"], batches[1]["label"])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "stacked:"}, "a name such as 'stacked:mnist'"),
        ({"name": "stacked:0:jaxgan_digits"}, "a name such as"),
        ({"name": "stacked:stacked:jaxgan_digits"}, "a name such as"),
        ({"channels": 1}, "channels: got 1"),
    ],
)
def test_a_name_that_cannot_be_stacked_is_told(digits_dir, changes, words):
    with pytest.raises(UserError, match=words):
        open_source(config_of(digits_dir, **changes), "train")


def test_a_base_without_labels_is_told(digits_dir, draw, tmp_path):
    draw(tmp_path / "pictures" / "a.png", mode="L")
    draw(tmp_path / "pictures" / "b.png", mode="L")
    with pytest.raises(UserError, match="grey images with labels"):
        open_source(config_of(digits_dir, f"stacked:{tmp_path / 'pictures'}"), "train")

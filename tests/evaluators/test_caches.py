"""Cached statistics of real images are used only for the contents they were made from; damaged ones are rebuilt."""

import json
import logging
import os

import numpy as np
import pytest
from fuzzing import mutants, read_mutants

from jaxgan.evaluators.classifier_cache import load_classifier, read_classifier, save_classifier
from jaxgan.evaluators.reference_cache import cached, read_arrays

KEY = {"reference": "names and sizes", "seed": 0}
FINGERPRINT = "0123456789abcdef" * 4


def of(contents):
    return [{"name": "d", "split": "train", "classes": ["a", "b"], "examples": 3, "contents": {"images": contents}}]


class Maker:
    def __init__(self):
        self.made = 0

    def __call__(self):
        self.made += 1
        return {"sums": np.full((4, 3), float(self.made)), "counts": np.arange(5)}


def test_statistics_of_other_contents_are_rebuilt(tmp_path):
    make = Maker()

    def ask(data):
        return cached(str(tmp_path), KEY, make, data)["sums"][0, 0]

    assert [ask(of("x")), ask(of("x")), ask(of("y")), ask(of("x")), ask(of("y"))] == [1, 1, 2, 1, 2]
    (path, other) = sorted(tmp_path.iterdir())
    with np.load(path) as arrays:
        told = json.loads(str(arrays["made from"]))
    assert told in (of("x"), of("y"))
    os.replace(path, other)  # another's file in the place of one
    assert {ask(of("x")), ask(of("y"))} == {3.0, 4.0}


def test_statistics_of_an_older_version_are_those_of_the_first_who_asks(tmp_path):
    make = Maker()
    cached(str(tmp_path), KEY, make)
    assert cached(str(tmp_path), KEY, make, of("x"))["sums"][0, 0] == 1
    assert cached(str(tmp_path), KEY, make, of("y"))["sums"][0, 0] == 2
    assert set(cached(str(tmp_path), KEY, make, of("x"))) == {"sums", "counts"}


def test_damaged_statistics_are_rebuilt(tmp_path, caplog):
    make = Maker()
    cached(str(tmp_path), KEY, make, of("x"))
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    for broken in (b"", b"PK", whole[:-20], whole[:80] + whole[90:], *mutants([whole], 10, seed=1)):
        path.write_bytes(broken)
        found = cached(str(tmp_path), KEY, make, of("x"))
        assert found["counts"].tolist() == [0, 1, 2, 3, 4]
    assert "will be rebuilt" in caplog.text


def save(folder, data=()):
    arrays = {"network": {"layer": {"kernel": np.ones((3, 3))}}, "scales": np.ones(2)}
    return save_classifier(str(folder), FINGERPRINT, arrays, accuracy=0.5, description={"data": "f"}, data=data)


def test_a_classifier_of_other_contents_is_not_used(tmp_path, caplog):
    save(tmp_path, of("x"))
    assert load_classifier(str(tmp_path), FINGERPRINT, data=of("x")).accuracy == 0.5
    assert load_classifier(str(tmp_path), FINGERPRINT, data=of("y")) is None
    (record,) = tmp_path.glob("*.json")
    assert json.loads(record.read_text())["data"] == of("x")
    for path in tmp_path.iterdir():  # another's files in the place of one
        path.rename(path.with_name(path.name.replace(path.stem.rpartition("-")[2], digest("y"))))
    with caplog.at_level(logging.WARNING):
        assert load_classifier(str(tmp_path), FINGERPRINT, data=of("y")) is None
    assert "it was trained on other data" in caplog.text


def digest(contents):
    from jaxgan.data.sources import digest_of_contents

    return digest_of_contents(of(contents))


def test_a_classifier_of_an_older_version_is_that_of_the_first_who_asks(tmp_path):
    save(tmp_path)
    assert load_classifier(str(tmp_path), FINGERPRINT, data=of("x")) is not None
    assert load_classifier(str(tmp_path), FINGERPRINT, data=of("y")) is None
    assert load_classifier(str(tmp_path), FINGERPRINT, data=of("x")) is not None


def test_a_damaged_classifier_is_none(tmp_path):
    save(tmp_path, of("x"))
    (record,), (weights,) = tmp_path.glob("*.json"), tmp_path.glob("*.npz")
    for path in (record, weights):
        whole = path.read_bytes()
        for broken in (b"", b"[1, 2]", b"\xff\xfe\x00", b"[" * 3000, whole[:-9]):
            path.write_bytes(broken)
            assert load_classifier(str(tmp_path), FINGERPRINT, data=of("x")) is None
        path.write_bytes(whole)
    assert load_classifier(str(tmp_path), FINGERPRINT, data=of("x")) is not None


@pytest.mark.slow
def test_mutants_of_statistics_are_read_or_refused(tmp_path):
    cached(str(tmp_path), KEY, Maker(), of("x"))
    (path,) = tmp_path.iterdir()
    told = read_mutants(lambda each: read_arrays(str(each)), [path.read_bytes()], path, refusals=(ValueError,))
    assert told["refused"] > 500


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["json", "npz"])
def test_mutants_of_classifiers_are_read_or_refused(tmp_path, kind):
    save(tmp_path, of("x"))
    (record,), (weights,) = tmp_path.glob("*.json"), tmp_path.glob("*.npz")
    path = record if kind == "json" else weights

    def read(_):
        return read_classifier(str(weights), str(record), FINGERPRINT, digest("x"))

    told = read_mutants(read, [path.read_bytes()], path, refusals=(ValueError,))
    assert told["refused"] > 300

"""What a run was trained on is recorded with its checkpoints, and compared at the next start."""

import numpy as np
import pytest

from jaxgan.checkpoints import on_disk
from jaxgan.checkpoints.identity import compare_data, describe_data
from jaxgan.data.sources import DataSpec, describe, digest_of_contents
from jaxgan.errors import UserError
from jaxgan.evaluators.score_files import check_same
from jaxgan.fields import picture_fields

pytestmark = pytest.mark.quick


class Fake:
    def __init__(self, counts=(12, 12), contents="a", split="train", classes=("cat", "dog")):
        size = sum(counts)
        parts = (("images", contents),) if contents else ()
        self.spec = DataSpec("d", split, size, picture_fields(8, 8, 3, classes), "f", contents=parts)
        self.label_counts = np.array(counts)


def earlier(*sources):
    return {"class_names": list(sources[0].spec.classes), "data": describe_data(*sources)}


def compared(then, now):
    return compare_data(then, describe_data(*now), "the run in r")


def test_what_changed_is_one_line_with_counts():
    held_out = Fake((3, 3), "h", "test")
    then = earlier(Fake(), held_out)
    assert compared(then, (Fake(), held_out)) == ""
    reported = compared(then, (Fake((12, 6), "b"), held_out))
    assert reported.endswith("train had 24 examples and has 18 (dog 12 then, 6 now)")
    reported = compared(then, (Fake(contents="b"), Fake((3, 4), "i", "test")))
    assert "train has 24 examples as before, but images of other names or contents; " in reported
    assert reported.endswith("test had 6 examples and has 7 (dog 3 then, 4 now)")


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        (("cat",), "gone: 'dog'"),
        (("bird", "cat", "dog"), "new: 'bird'"),
        (("cat", "wolf"), "gone: 'dog'; new: 'wolf'"),
        (("dog", "cat"), "the same, in another order"),
        ((), "then 2 ('cat', 'dog'), now none"),
    ],
)
def test_other_classes_are_refused_by_name(classes, words):
    with pytest.raises(UserError, match="other classes than those that the run in r was trained on: ") as caught:
        compared(earlier(Fake(), None), (Fake((2,) * len(classes), classes=classes), None))
    assert words in str(caught.value)
    old = {"class_names": ["cat", "dog"]}  # of a version that recorded no more
    with pytest.raises(UserError, match="other classes"):
        compared(old, (Fake((2,) * len(classes), classes=classes), None))


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"class_names": ["cat", "dog"]},
        {"class_names": ["cat", "dog"], "data": 5},
        {"class_names": ["cat", "dog"], "data": {"trained on": 3, "held out": {}}},
        {"class_names": None, "data": {"trained on": {"contents": {}}}},
    ],
)
def test_older_records_resume_without_a_word(record):
    assert compared(record, (Fake(), Fake((1, 1), "h", "test"))) == ""


def test_scores_of_other_data_are_not_the_best():
    def record(score, contents):
        data = {} if contents is None else {"data": describe_data(Fake(contents=contents), None)}
        return {"metrics": {"frechet/x": score}, **data}

    records = {1: record(1.0, "a"), 2: record(3.0, "b"), 3: record(4.0, "b")}
    assert on_disk.best_step(records, "frechet", "min") == 2
    assert on_disk.best_step({**records, 4: record(0.5, "a")}, "frechet", "min") == 4
    assert on_disk.best_step({1: record(1.0, None), 2: record(3.0, "b")}, "frechet", "min") == 1  # nothing is known
    assert on_disk.best_step({}, "frechet", "min") is None


def test_manifests_of_scores_differ_by_contents_where_both_know_them():
    check_same({"a": 1, "contents": "x"}, {"a": 1}, "theirs")
    check_same({"a": 1}, {"a": 1, "contents": "x"}, "theirs")
    check_same({"a": 1, "contents": "x"}, {"a": 1, "contents": "x"}, "theirs")
    with pytest.raises(UserError, match="contents: 'x' here, 'y' there"):
        check_same({"a": 1, "contents": "x"}, {"a": 1, "contents": "y"}, "theirs")


def test_contents_that_are_unknown_have_no_digest():
    known, unknown = describe(Fake()), describe(Fake(contents=""))
    assert digest_of_contents([known]) != digest_of_contents([describe(Fake(contents="b"))])
    assert digest_of_contents([known, unknown]) == digest_of_contents([]) == ""


def test_further_sources_are_compared_by_name():
    then = {"class_names": ["cat", "dog"], "data": describe_data(Fake(), None, {"b": Fake(contents="b")})}

    def now(b):
        return compare_data(then, describe_data(Fake(), None, {"b": b}), "the run in r")

    assert now(Fake(contents="b")) == ""
    assert now(Fake((12, 6), "c")).endswith(
        ": config.more_data.b: train had 24 examples and has 18 (dog 12 then, 6 now)"
    )
    with pytest.raises(UserError, match=r"^config\.more_data\.b have other classes than those that the run in r was"):
        now(Fake(contents="b", classes=("cat", "cow")))
    broken = {**then, "data": {**then["data"], "more": ["b"]}}  # by whoever wrote it
    assert compare_data(broken, describe_data(Fake(), None, {"b": Fake()}), "r") == ""

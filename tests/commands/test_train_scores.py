"""Whether a run's earlier scores let it go on, where what scores are made with has changed."""

import json
from types import SimpleNamespace

import pytest

from jaxgan.checkpoints.workdir import Workdir
from jaxgan.commands.train import _check_scores
from jaxgan.errors import UserError
from jaxgan.evaluators.choice import Scheduled

MADE = {"features": "classifier-12345678", "samples": 10}


def check(tmp_path, now, before):
    place = Workdir(str(tmp_path))
    place.scores.write_text(json.dumps({"scores": {}, "manifest": before}))
    return _check_scores(place, {"": Scheduled(SimpleNamespace(manifest=now), None)})


def test_scores_of_classes_in_turn_are_followed_by_those_in_shares(tmp_path):
    told = check(tmp_path, {**MADE, "labels": "in the shares of 60000 training images"}, MADE)
    assert "in the shares of 60000 training images" in told
    assert check(tmp_path, MADE, MADE) == ""


def test_scores_of_other_contents_are_told_and_those_of_older_versions_count(tmp_path):
    told = check(tmp_path, {**MADE, "contents": "a", "reference": "x"}, {**MADE, "contents": "b", "reference": "y"})
    assert "earlier scores were computed on other data" in told
    assert check(tmp_path, {**MADE, "contents": "a"}, MADE) == ""
    assert check(tmp_path, {**MADE, "contents": "a"}, {**MADE, "contents": "a"}) == ""


def test_a_run_scored_by_patches_hears_how_to_go_on(tmp_path):
    with pytest.raises(UserError, match=r"continue with --config\.evaluation\.features=patches"):
        check(tmp_path, {**MADE, "features": "self-12345678"}, {**MADE, "features": ["patches-7x7", "thumbnail-16px"]})


def test_other_scores_do_not_compare(tmp_path):
    with pytest.raises(UserError, match="samples: 20 here, 10 there"):
        check(tmp_path, {**MADE, "samples": 20, "labels": "in the shares of 6 training images"}, MADE)

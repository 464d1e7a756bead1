"""JSON of our own, read again: each thing that it may have become is told in one line."""

import json
import os
import tracemalloc

import pytest
from fuzzing import changed_values, read_mutants

from jaxgan.building.builder import check_sections
from jaxgan.config.overrides import resolve
from jaxgan.config.run import from_json, to_json
from jaxgan.errors import MISTAKE, UserError
from jaxgan.evaluators.score_files import check_same, read_report, write_report
from jaxgan.main import main
from jaxgan.system.json_files import BrokenFileError, parse_json, read_json, read_text

TREE = {
    "networks": {
        "generator": {"name": "dcgan.Generator", "widths": (8, 4), "resolution": 8, "channels": 1},
        "discriminator": {"name": "dcgan.Discriminator", "widths": (8,)},
    },
    "task": {
        "name": "generation.Generation",
        "adversary": {
            "loss": "adversarial.hinge",
            "penalties": (
                {"name": "gradient_penalty.r1", "gamma": {"name": "linear", "start": 1, "stop": 0, "images": 9}},
            ),
            "augment": {"name": "ada.ADA", "chances": {"hue": 0.5}},
        },
    },
    "optimizers": {"generator": {"name": "adam", "learning_rate": 1e-3, "b1": 0.5}},
    "data": {"name": "jaxgan_digits"},
    "ema": {"half_life_images": 500},
    "images": 640,
}
REPORT = {"images": 64, "scores": {"frechet/f": 3.5, "recall/f": 0.5}, "manifest": {"features": "f", "samples": 64}}
STRANGE = [
    (b"", "it is not JSON"),
    (b"\xff\xfe{}", "it is not UTF-8"),
    (b'{"a": 1, "a": 1}', "the name 'a' occurs twice"),
    (b"[" * 900 + b"]" * 900, "it is nested more than 100 deep"),
    (b'{"":' * 50_000, "it is nested more than 100 deep"),
    (b"9" * 10_000, "it has a number of 10000 digits"),
    (b'["\\ud800"]', "it has invalid characters"),
    (b"{", "it is not JSON"),
]


@pytest.mark.quick
@pytest.mark.parametrize(("data", "why"), STRANGE)
def test_strange_json_is_refused_with_its_reason(tmp_path, data, why, capsys):
    with pytest.raises(BrokenFileError, match=why):
        parse_json(data)
    (tmp_path / "config.json").write_bytes(data)
    (tmp_path / "scores.json").write_bytes(data)
    with pytest.raises(UserError, match=f"scores.json: expected a file of scores.*: {why}"):
        read_report(tmp_path / "scores.json")
    assert main([f"--workdir={tmp_path}", "--mode=sample"]) == MISTAKE
    told = capsys.readouterr().err
    assert why in told
    assert told.count("\n") == 1


@pytest.mark.quick
def test_what_older_versions_and_other_editors_write_is_read():
    assert parse_json(b'\xef\xbb\xbf{"a": [1, 2.5, "\\u00e9", null, true, 9223372036854775807]}') == {
        "a": [1, 2.5, "é", None, True, 2**63 - 1]
    }
    assert str(parse_json(b"[NaN, -Infinity]")) == "[nan, -inf]"
    name = os.fsdecode(b"\xe9.png")  # of a file whose name is Latin-1
    assert parse_json(json.dumps([name])) == [name]


@pytest.mark.quick
def test_only_regular_files_are_read(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "scores.json").write_text(json.dumps(REPORT))
    (tmp_path / "link").symlink_to("scores.json")
    assert read_json(tmp_path / "link") == REPORT
    for path, why in (
        ("/dev/zero", "it is a device or a pipe, not a file"),
        (tmp_path / "fifo", "it is a device or a pipe, not a file"),
        (tmp_path, "it is a folder"),
        (tmp_path / "loop", "Too many levels of symbolic links"),
        (tmp_path / ("x" * 300), "File name too long"),
        (tmp_path / "nowhere", "it does not exist"),
    ):
        with pytest.raises(UserError, match=f"cannot be read: {why}"):
            read_text(path)
        with pytest.raises(UserError, match=f"expected a file of scores, .*: {why}"):
            read_report(path)


@pytest.mark.quick
def test_a_file_too_large_is_not_read(tmp_path):
    with open(tmp_path / "large.json", "wb") as file:
        file.truncate(2**40)  # without a block on the disk
    tracemalloc.start()
    with pytest.raises(UserError, match="it has 1,099,511,627,776 bytes, expected at most 16,777,216"):
        read_report(tmp_path / "large.json")
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


@pytest.mark.quick
@pytest.mark.parametrize(
    ("report", "why"),
    [
        ([], "the file: got"),
        ({}, "scores: got None"),
        ({**REPORT, "scores": {"f": "3"}}, "scores: got"),
        ({**REPORT, "scores": {"f": None}}, "scores: got"),
        ({**REPORT, "manifest": 3}, "manifest: got 3"),
    ],
)
def test_a_report_without_scores_is_refused(tmp_path, report, why):
    (tmp_path / "scores.json").write_text(json.dumps(report))
    with pytest.raises(UserError, match=f"expected a file of scores, .*: {why}"):
        read_report(tmp_path / "scores.json")


def read_config(path):
    """All that is looked at in a saved config before anything is made of it."""
    check_sections(from_json(read_text(path)))


@pytest.mark.slow
def test_a_thousand_mutants_of_a_saved_config_are_read_or_refused(tmp_path):
    text = to_json(resolve(TREE, {}))
    told = read_mutants(read_config, [text.encode()], tmp_path / "config.json")
    assert told["refused"] > 500
    refused = 0
    for index, each in enumerate(changed_values(json.loads(text), 1000)):
        (tmp_path / "config.json").write_text(json.dumps(each))
        try:
            read_config(tmp_path / "config.json")
        except UserError:
            refused += 1
        except Exception as error:
            error.add_note(f"value {index}: {each}")
            raise
    assert refused > 500


@pytest.mark.slow
def test_a_thousand_mutants_of_scores_are_read_or_refused(tmp_path):
    path = tmp_path / "scores.json"
    write_report(path, REPORT)

    def read(path):
        report = read_report(path)
        check_same(REPORT["manifest"], report["manifest"], "another")
        assert all(f"{value:.4f}" for value in report["scores"].values())

    told = read_mutants(read, [path.read_bytes()], path)
    assert told["refused"] > 500
    for each in changed_values(REPORT, 1000):
        path.write_text(json.dumps(each))
        try:
            read(path)
        except UserError:
            told["refused"] += 1
    assert told["refused"] > 1000

"""`--mode=evaluate` beside other scores, and with path lengths."""

import json

import pytest

from jaxgan.main import main

SCORE = ["--mode=evaluate", "--samples=40"]


@pytest.mark.parametrize(
    ("family", "space"), [("dcgan", "latents"), pytest.param("stylegan2", "styles", marks=pytest.mark.slow)]
)
def test_path_lengths_stand_beside_the_scores_and_compare_of_equally_many(runs, family, space, tmp_path, capsys):
    assert main([*SCORE, "--workdir", str(runs[family]), "--path_length=6"]) == 0
    report = json.loads((runs[family] / "scores-0.json").read_text())
    (length,) = (value for name, value in report["scores"].items() if name.startswith("path_length/classifier-"))
    assert 0 < length < 1e6
    made_with = report["manifest"]["path_length"]
    assert (made_with["paths"], made_with["epsilon"]) == (6, 1e-4)
    assert made_with["space"].endswith(f"between {space}")
    other = tmp_path / "other.json"
    other.write_text(json.dumps(report))
    capsys.readouterr()
    assert main([*SCORE, "--workdir", str(runs[family]), "--path_length=7", "--against", str(other)]) == 2
    assert "path_length: {'paths': 7" in capsys.readouterr().err


def test_scores_of_another_run_stand_beside_if_they_compare(runs, capsys, tmp_path):
    workdir = str(runs["stylegan2"])
    assert main([*SCORE, "--workdir", workdir]) == 0
    other = tmp_path / "other.json"
    other.write_text((runs["stylegan2"] / "scores-0.json").read_text())
    capsys.readouterr()
    assert main([*SCORE, "--workdir", workdir, "--against", str(other)]) == 0
    told = capsys.readouterr().out
    assert told.count("   against ") == 7
    assert main(["--mode=evaluate", "--samples=30", "--workdir", workdir, "--against", str(other)]) == 2
    assert "samples: 30 here, 40 there" in capsys.readouterr().err


def test_a_path_is_not_enough(runs, capsys):
    assert main([*SCORE, "--workdir", str(runs["dcgan"]), "--path_length=1"]) == 2
    assert "--path_length: got 1, expected 2 or more" in capsys.readouterr().err

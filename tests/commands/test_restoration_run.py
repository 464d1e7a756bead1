"""A restoration in miniature: two stages, resumed across their change, scored, applied between the stages."""

import json
import pathlib

import numpy as np
import pytest
from PIL import Image

from jaxgan.errors import FINISHED, MISTAKE
from jaxgan.main import main
from jaxgan.training.stored import read_records, restore_average
from jaxgan.training.workdir import Workdir

CONFIG = str(pathlib.Path(__file__).parent.parent.parent / "configs" / "srgan_photos.py")
START, TOTAL = 32, 64  # images, in miniature


def train(path, *flags):
    common = ["--config", CONFIG, "--workdir", str(path), "--config.tiny=true", "--config.data.crops=4"]
    quiet = ["--config.plots=false", "--config.tensorboard=false", "--config.data.cache=host"]
    return main([*common, *quiet, *flags])


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    path = tmp_path_factory.mktemp("restoration") / "unbroken"
    assert train(path) == FINISHED
    return path


def test_a_run_resumed_across_the_change_of_stage_equals_an_unbroken_one(unbroken, tmp_path):
    assert train(tmp_path / "broken", f"--config.images={START - 8}") == FINISHED
    assert train(tmp_path / "broken") == FINISHED
    arrays = []
    for path in (unbroken, tmp_path / "broken"):
        average = restore_average(Workdir(str(path)).checkpoints)
        assert average.record["images_seen"] == TOTAL
        arrays.append([np.asarray(leaf) for leaf in _leaves(average.params)])
    for one, other in zip(*arrays, strict=True):
        np.testing.assert_array_equal(one, other)


def _leaves(tree):
    return [leaf for value in tree.values() for leaf in (_leaves(value) if isinstance(value, dict) else [value])]


def test_the_checkpoint_at_the_change_is_kept(unbroken):
    records = read_records(Workdir(str(unbroken)).checkpoints)
    assert [record["images_seen"] for record in records.values() if record["keep_forever"]] == [START]


def test_scores_name_the_degradation_and_the_baseline(unbroken):
    report = json.loads((unbroken / "scores.json").read_text())
    assert {"psnr/bicubic_x2", "psnr_std/bicubic_x2", "psnr_bicubic/bicubic_x2"} <= report["scores"].keys()
    assert report["manifest"]["degradation"] == "bicubic_x2"
    assert (unbroken / "samples" / f"{TOTAL:09}.png").exists()


def test_evaluate_gives_the_scores_of_the_end(unbroken, capsys):
    assert main(["--mode=evaluate", "--workdir", str(unbroken)]) == FINISHED
    written = json.loads((unbroken / f"scores-{TOTAL // 8}.json").read_text())
    assert written["images"] == TOTAL
    end = json.loads((unbroken / "scores.json").read_text())["scores"]
    np.testing.assert_allclose(written["scores"]["psnr/bicubic_x2"], end["psnr/bicubic_x2"], rtol=1e-5)
    capsys.readouterr()
    assert main(["--mode=evaluate", "--workdir", str(unbroken), "--path_length=4"]) == MISTAKE
    assert "not from latents" in capsys.readouterr().err


def test_files_are_restored_between_the_stages(unbroken, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 12, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "in.png")
    outputs = []
    for strength in (0, 0.5, 1):
        output = tmp_path / f"{strength}.png"
        flags = ["--mode=apply", "--workdir", str(unbroken), "--input", str(tmp_path / "in.png")]
        assert main([*flags, "--output", str(output), f"--strength={strength}"]) == FINISHED
        with Image.open(output) as picture:
            assert picture.size == (24, 18)
            outputs.append(np.asarray(picture).astype(int))
    assert (outputs[0] != outputs[2]).any()


def test_a_run_that_restores_draws_no_samples(unbroken, capsys):
    assert main(["--mode=sample", "--workdir", str(unbroken)]) == MISTAKE
    assert "use --mode=apply" in capsys.readouterr().err

"""An external classifier, with its own evaluator."""

import json

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest
from newcomer_runs import trainer

import jaxgan
from jaxgan.building.opening import open_source
from jaxgan.checkpoints.workdir import Workdir
from jaxgan.config.run import DataConfig
from jaxgan.errors import FINISHED, MISTAKE, UserError
from jaxgan.evaluators.reference import random_examples
from jaxgan.main import main
from jaxgan.reporting.writer import read_scalars

NAME = "real_or_fake"
train = trainer(NAME, 16)  # images


def arrays(workdir, step):
    with ocp.StandardCheckpointer() as checkpointer:
        return checkpointer.restore(workdir / "checkpoints" / str(step) / "state")


def scored(workdir):
    lines = read_scalars(Workdir(str(workdir)).scalars)
    return {line["step"]: line["scalars"]["test/auc"] for line in lines if "test/auc" in line["scalars"]}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def run(runs):
    """Trained to the fourth round without a stop."""
    workdir = runs / "whole"
    if not workdir.exists():
        assert train(workdir, 4) == FINISHED
    return workdir


def test_a_resumed_run_equals_an_unbroken_one(run, runs):
    halves = runs / "halves"
    assert train(halves, 2) == FINISHED
    assert train(halves, 4) == FINISHED
    whole, resumed = arrays(run, 4), arrays(halves, 4)
    assert whole.keys() == resumed.keys()
    assert not any(name.startswith("ema") for name in whole)
    for name, array in whole.items():
        np.testing.assert_array_equal(array, resumed[name], err_msg=name)
    assert scored(run) == scored(halves)


def test_the_best_checkpoint_is_kept_by_the_score_that_the_config_names(runs):
    workdir = runs / "many"
    assert train(workdir, 6, **{"optimizers.classifier.learning_rate": "0.3", "watch.enabled": "false"}) == FINISHED
    scores = scored(workdir)
    assert list(scores) == [1, 2, 3, 4, 5, 6]
    best = max(scores, key=lambda step: (scores[step], step))
    kept = {int(path.name) for path in (workdir / "checkpoints").iterdir()}
    assert kept == {0, best, 6}
    assert jaxgan.load(workdir, step="best", allow=(NAME,)).step == best


def test_it_is_scored_and_called(run, capsys):
    assert main(["--mode=evaluate", f"--allow={NAME}", f"--workdir={run}"]) == FINISHED
    report = json.loads((run / "scores-4.json").read_text())
    assert "test/auc" in capsys.readouterr().out
    assert report["scores"] == json.loads((run / "scores.json").read_text())["scores"]
    assert report["manifest"]["test"]["samples"] == 64
    model = jaxgan.load(run, allow=(NAME,))
    images = (
        random_examples(open_source(DataConfig("jaxgan_digits", resolution=16), "test"), 64, 0).images
        / np.float32(127.5)
        - 1
    )
    from real_or_fake import NOISE, copies

    fakes = np.asarray(copies(jax.random.key(0), images, NOISE))
    real, fake = (model(image=each)["logits"] for each in (images, fakes))
    pairs = real[:, None] - fake[None]
    assert report["scores"]["test/auc"] == pytest.approx((pairs > 0).mean() + (pairs == 0).mean() / 2)
    assert report["scores"]["test/accuracy"] == pytest.approx(np.mean([real > 0, fake <= 0]))
    with pytest.raises(UserError, match=r"use model\(image=\.\.\.\)"):
        model.generate(0, 3)


@pytest.mark.parametrize(
    ("changes", "reported"),
    [
        ({"evaluators": "{}"}, "config.evaluators is missing: nothing scores what asks for 'image'"),
        (
            {"evaluators.test.name": "distribution.Distribution"},
            "config.evaluators.test: distribution.Distribution scores what asks for latent and gives pixels, this asks",
        ),
        ({"evaluators.test.name": "real_or_fake.Classifier"}, "'real_or_fake.Classifier' is not an evaluator: it has"),
        ({"evaluators.test.name": "distribution.Distributon"}, "did you mean 'distribution.Distribution'?"),
        ({"evaluators.test.noise": "-1"}, "config.evaluators.test.noise: got -1, expected 0 or more"),
        ({"evaluators.test.sample": "8"}, "config.evaluators.test.sample does not exist; did you mean samples?"),
        ({"evaluators.test.every_images": "0"}, "config.evaluators.test.every_images: got 0, expected"),
        ({"evaluators.test.data.splt": "x"}, "config.evaluators.test.data.splt does not exist; did you mean split?"),
        ({"data.evaluation_split": "train"}, "config.data.evaluation_split: got the split that is trained on"),
        ({"checkpoint.best": "auc"}, "config.checkpoint.best: got 'auc', expected one of auto, test/auc"),
        ({"checkpoint.best": "train/auc"}, "got 'train/auc', expected one of auto, test/auc, test/accuracy"),
    ],
)
def test_a_mistake_in_its_evaluators_is_one_line(changes, reported, tmp_path, capsys):
    assert train(tmp_path / "run", 1, **changes) == MISTAKE
    error = capsys.readouterr().err.strip()
    assert reported in error
    assert "\n" not in error
    assert not (tmp_path / "run").exists()

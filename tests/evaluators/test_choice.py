"""Evaluators named in a config, and the default one if it names none."""

import json

import numpy as np
import pytest
from PIL import Image

from jaxgan.building.assemble import fill_in, make_task
from jaxgan.building.opening import open_source
from jaxgan.checkpoints.workdir import Workdir
from jaxgan.config.overrides import resolve
from jaxgan.config.run import CheckpointConfig
from jaxgan.errors import FINISHED, UserError
from jaxgan.evaluators.choice import UNNAMED, choose_best, make_evaluators
from jaxgan.evaluators.evaluator import Trained
from jaxgan.game import product_of
from jaxgan.main import main
from jaxgan.reporting.writer import read_scalars

NAME = "distribution.Distribution"
BASE = {
    "networks": {
        "generator": {"name": "mlp.Generator", "widths": (8,)},
        "discriminator": {"name": "mlp.Discriminator"},
    },
    "task": {"name": "generation.Generation", "adversary": {"loss": "adversarial.hinge"}, "latent_dim": 4},
    "optimizers": {},
    "data": {"name": "jaxgan_digits", "resolution": 8},
    "evaluation": {"samples": 40, "features": "patches", "every_images": 32, "neighbours": 3},
    "images": 64,
}
RESTORING = {
    "networks": {"generator": {"name": "srresnet.Generator", "blocks": 1, "scale": 1}},
    "task": {
        "name": "restoration.Restoration",
        "degradation": {"name": "degradations.GaussianNoise", "strength": 25.0},
        "content": ({"name": "reconstruction.l1"},),
    },
}


def make(changes=None, **base):
    config = resolve({**BASE, **base}, changes or {})
    config = fill_in(config, open_source(config.data, config.data.split).spec)
    return make_evaluators(config, product_of(make_task(config))[1])


def test_the_default_evaluator_uses_the_common_settings():
    ((name, (evaluator, every)),) = make().items()
    assert (name, every, evaluator.names[0]) == (UNNAMED, 32, "swd")
    manifest = evaluator.manifest
    assert [manifest[key] for key in ("samples", "neighbours", "data")] == [40, 3, "jaxgan_digits/train"]


def test_named_evaluators_override_the_common_settings():
    sections = {
        "a": {"name": NAME, "samples": 20, "every_images": None},
        "b": {"name": NAME, "data": {"split": "test"}, "features": "self", "every_images": 16},
    }
    made = make(evaluators=sections)
    assert {name: every for name, (_, every) in made.items()} == {"a": None, "b": 16}
    assert made["b"].evaluator.names[0] == "frechet"
    assert made["a"].evaluator.manifest["samples"] == 20
    other = make(evaluators={"a": {"name": NAME, "data": {"split": "test"}}})["a"].evaluator.manifest
    assert (other["data"], other["samples"]) == ("jaxgan_digits/test", 40)


def test_the_best_checkpoint_is_by_a_score_that_there_is():
    made = make(evaluators={"a": {"name": NAME}, "b": {"name": NAME}})
    best = {each: choose_best(CheckpointConfig(best=each), made) for each in ("auto", "b/recall", "b/swd")}
    assert {each: (found.best, found.best_mode) for each, found in best.items()} == {
        "auto": ("a/swd", "min"),
        "b/recall": ("b/recall", "min"),
        "b/swd": ("b/swd", "min"),
    }
    assert choose_best(CheckpointConfig(best="b/recall", best_mode="max"), made).best_mode == "max"
    with pytest.raises(
        UserError, match=r"checkpoint\.best: got 'swd', expected one of auto, a/swd, a/recall, .* b/swd"
    ):
        choose_best(CheckpointConfig(best="swd"), made)


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        (
            {"a": {"name": "reconstruction.Reconstruction"}},
            "config.evaluators.a: .* asks for pixels and gives pixels, this",
        ),
        (
            {"a": {"name": NAME, "data": {"channels": 3}}},
            r"config.evaluators.a asks for 'image' \(pixels \[8, 8, 1\]\)",
        ),
        ({"a": {"name": NAME, "data": {"split": "x"}}}, "jaxgan_digits' has no split 'x'"),
        ({"a": {"name": NAME, "neighbours": 40}}, r"config.evaluators.a.neighbours: got 40, which .* is 40$"),
        ({"a": {"name": NAME, "features": "vgg16"}}, "config.evaluators.a.features: got 'vgg16', which is for LPIPS"),
    ],
)
def test_unfitting_sections_raise_with_their_path(sections, words):
    with pytest.raises(UserError, match=words):
        make(evaluators=sections)


def test_picture_restorers_are_scored_on_clips_with_baselines_tuned_on_training_clips(tmp_path, caplog):
    y, x = np.mgrid[:32, :48]
    for split, shift in (("train", 0), ("test", 9)):
        (tmp_path / split / "film").mkdir(parents=True)
        for number in range(3):
            wave = 127 + 90 * np.sin((x + number + shift) / 5) * np.cos(y / 4)
            Image.fromarray(wave.astype(np.uint8)).save(tmp_path / split / "film" / f"{number}.png")
    films = {"name": "reconstruction.Reconstruction", "data": {"name": str(tmp_path), "frames": 3}}
    films["data"] |= {"split": "train", "evaluation_split": "test"}
    caplog.set_level("INFO", "jaxgan.evaluators")
    evaluator = make(**RESTORING, evaluators={"films": films})["films"].evaluator
    assert (evaluator.manifest["samples"], evaluator.manifest["frames"]) == (3, 3)
    scores = evaluator.run(Trained(restore=lambda frames: frames), 0)
    told = [record.getMessage() for record in caplog.records if ": tuned to " in record.getMessage()]
    assert [line.partition(":")[0] for line in told] == ["temporal_mean", "temporal_median", "nlmeans"]
    assert not any("scored on" in record.getMessage() for record in caplog.records)
    assert {"tof/gaussian_25", "flicker_nlmeans/gaussian_25", "flicker_original_std/gaussian_25"} <= scores.keys()


def test_data_of_other_classes_raise(tmp_path):
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        for number in range(20):
            Image.new("L", (8, 8), number).save(tmp_path / name / f"{number}.png")
    data = {"name": str(tmp_path)}
    with pytest.raises(UserError, match=r"config\.evaluators\.a: .* has 2 classes, expected 10"):
        make({"task.condition": "label"}, evaluators={"a": {"name": NAME, "data": data}})


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"a": {}}, r"config\.evaluators\.a\.name is missing: .* 'distribution\.Distribution'"),
        ({"a/b": {"name": NAME}}, r"config\.evaluators: got the name 'a/b'"),
        ({"a": {"name": NAME, "data": 3}}, r"config\.evaluators\.a\.data: got 3"),
        ({"a": {"name": NAME, "data": {"chanels": 3}}}, r"config\.evaluators\.a\.data\.chanels does not exist"),
        ({"a": {"name": NAME, "every_images": -1}}, r"config\.evaluators\.a\.every_images: got -1"),
        (3, r"config\.evaluators: got 3"),
    ],
)
def test_a_mistake_in_a_section_is_reported_without_jax(sections, words):
    with pytest.raises(UserError, match=words):
        resolve({**BASE, "evaluators": sections}, {})


def test_a_run_in_miniature_scores_few_samples_at_its_end():
    sections = {"a": {"name": NAME, "samples": 999, "every_images": 8}}
    config = resolve({**BASE, "evaluators": sections, "tiny": True}, {"evaluators.a.neighbours": "2"})
    assert config.evaluators == {"a": {"name": NAME, "neighbours": 2}}


def test_evaluators_of_a_run_come_due_one_by_one(tmp_path, capsys):
    adam = {"name": "adam", "learning_rate": 1e-3}
    tree = {
        **BASE,
        "batch_size": 16,
        "optimizers": {"generator": adam, "discriminator": adam},
        "evaluators": {"often": {"name": NAME}, "last": {"name": NAME, "samples": 20, "every_images": None}},
        **dict.fromkeys(("plots", "tensorboard", "compilation_cache"), False),
    }
    (tmp_path / "x.py").write_text(f"def get_config():\n    return {tree!r}\n")
    command = [f"--config={tmp_path / 'x.py'}", f"--workdir={tmp_path / 'run'}"]
    assert main(command) == FINISHED
    assert "(often/swd " in capsys.readouterr().err
    place = Workdir(str(tmp_path / "run"))
    steps = {}
    for line in read_scalars(place.scalars):
        for name in line["scalars"]:
            steps.setdefault("/".join(name.split("/")[:2]), set()).add(line["step"])
    assert (steps["often/swd"], steps["last/swd"]) == ({2, 4}, {4})
    report = json.loads(place.scores.read_text())
    assert {name: each["samples"] for name, each in report["manifest"].items()} == {"often": 40, "last": 20}
    assert json.loads(place.config.read_text())["config"]["checkpoint"]["best"] == "often/swd"
    assert main([*command, "--config.images=80"]) == FINISHED  # compares with what was scored so far
    assert main([f"--workdir={place.path}", "--mode=evaluate", "--samples=24"]) == FINISHED
    evaluated = json.loads((tmp_path / "run" / "scores-5.json").read_text())
    assert {each["samples"] for each in evaluated["manifest"].values()} == {24}
    assert evaluated["scores"].keys() == json.loads(place.scores.read_text())["scores"].keys()


def test_restored_pictures_are_scored_by_the_fitting_evaluator():
    ((name, (evaluator, _)),) = make(**RESTORING, evaluation={"samples": 2}).items()
    assert (name, evaluator.names[0], evaluator.best_mode) == (UNNAMED, "psnr", "max")
    assert evaluator.manifest["samples"] == 2

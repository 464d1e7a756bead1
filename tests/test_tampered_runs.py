"""Runs that were changed by hand: `jaxgan.load` says what the command line says, before an array is read."""

import hashlib
import json
import shutil

import jax
import jax.numpy as jnp
import pytest

import jaxgan
from jaxgan.assemble import averaged, make_task
from jaxgan.config import to_json
from jaxgan.errors import MISTAKE, UserError
from jaxgan.game import State
from jaxgan.main import main
from jaxgan.overrides import resolve
from jaxgan.restorer import load_restorer
from jaxgan.training.checkpoint import Checkpoints

GENERATION = {
    "generator": {"name": "mlp.Generator", "widths": (8,), "resolution": 8, "channels": 1, "num_classes": 3},
    "discriminator": {"name": "mlp.Discriminator", "widths": (8,), "num_classes": 3},
    "task": {"name": "generation.Generation", "loss": "adversarial.hinge", "latent_dim": 4, "num_classes": 3},
    "optimizers": {name: {"name": "adam", "learning_rate": 1e-3} for name in ("generator", "discriminator")},
    "conditional": True,
    "data": {"name": "jaxgan_digits"},
    "images": 640,
}
RESTORATION = {
    "generator": {"name": "srvgg.Generator", "channels": 3, "scale": 2, "convs": 1, "base_width": 4, "upscale": 2},
    "task": {
        "name": "restoration.Restoration",
        "degradation": {"name": "degradations.Bicubic", "scale": 2},
        "content": ({"name": "reconstruction.l1"},),
    },
    "optimizers": {"generator": {"name": "adam", "learning_rate": 1e-3}},
    "data": {"name": "jaxgan_digits"},
    "images": 640,
}


def make_run(path, tree):
    """A workdir with one checkpoint of zeros, without a step of training."""
    config = resolve(tree, {})
    params, variables = (
        jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), trees)
        for trees in averaged(make_task(config), config)[0]
    )
    zero = jnp.int32(0)
    state = State(
        **dict.fromkeys(("step", "images_seen", "rollbacks", "skipped", "skipped_in_a_row", "averaged_at"), zero),
        **dict.fromkeys(("params", "ema_params"), params),
        **dict.fromkeys(("variables", "ema_variables"), variables),
        opt_state={},
        carry={},
    )
    with Checkpoints(path / "checkpoints", config=json.loads(to_json(config)), class_names="abc") as checkpoints:
        checkpoints.save(state, step=4, images=256, metrics={"frechet/f": 1.0})
    (path / "config.json").write_text(to_json(config))
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("generation"), GENERATION)


@pytest.fixture
def run(made, tmp_path):
    return shutil.copytree(made, tmp_path / "run")


def change(path, **fields):
    """Writes other values, by dotted names with `__`, into the config of a run."""
    saved = json.loads((path / "config.json").read_text())
    for name, value in fields.items():
        *parents, last = name.split("__")
        node = saved["config"]
        for parent in parents:
            node = node[parent]
        node[last] = value
    (path / "config.json").write_text(json.dumps(saved))


def fit(path, change):
    """Changes a manifest and makes its checksum fit."""
    content = json.loads(path.read_text())
    del content["sha256"]
    change(content)
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps({**content, "sha256": digest}))


@pytest.mark.slow
def test_a_run_as_it_should_be_is_loaded(run):
    assert jaxgan.load(run).generate(0, 2).shape == (2, 8, 8, 1)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"task__augment": "x"}, "config.task.augment: got 'x', accepted is a section with a name, or None"),
        ({"task__latent_dim": -4}, "config.task.latent_dim: got -4, accepted is 1 or more"),
        ({"task__penalties": [3]}, "config.task.penalties.0: got 3, accepted is a section with a name"),
        ({"optimizers__generator__b1": 2}, "config.optimizers.generator.b1: got 2"),
        ({"generator__name": "os.system"}, "config.generator.name: 'os.system' is not a network"),
        (
            {"generator__num_classes": 5, "task__num_classes": 5, "discriminator__num_classes": 5},
            "params/generator/label/table/embedding is [3, 4] float32 in it and [5, 4] float32 in this run",
        ),
        (
            {"generator__widths": [8, 8]},
            "params/generator/dense_1/bias is absent in it and [8] float32 in this run",
        ),
        ({"generator__resolution": 16}, "params/generator/image/bias is [64] float32 in it and [256] float32 in this"),
        (
            {"task__latent_dim": 5},
            "params/generator/dense_0/kernel is [8, 8] float32 in it and [10, 8] float32 in this run",
        ),
    ],
)
def test_what_does_not_fit_is_told_by_load_and_by_the_command_line(run, fields, words, capsys):
    change(run, **fields)
    with pytest.raises(UserError) as mistake:
        jaxgan.load(run)
    assert words in str(mistake.value)
    assert main([f"--workdir={run}", "--mode=sample", f"--output={run}/x.png"]) == MISTAKE
    assert words in capsys.readouterr().err


@pytest.mark.slow
def test_a_restorer_is_compared_with_its_weights_too(tmp_path):
    run = make_run(tmp_path, RESTORATION)
    assert load_restorer(run).scale == 2
    change(run, generator__base_width=8)
    with pytest.raises(UserError, match=r"params/generator/conv_0/bias is \[4\] float32 in it and \[8\] float32"):
        load_restorer(run)
    change(run, generator__base_width=-8)
    with pytest.raises(UserError, match=r"config\.generator\.base_width: got -8, accepted is 1 or more"):
        load_restorer(run)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("params/generator/dense_0/kernel/more", "is absent in it|is .* in it and absent in this run"),
        ("", "is .* in it and absent|is of another model"),
        ("params/generator/dense_0/kernel", "is of another model"),
    ],
)
def test_a_tree_of_other_names_is_refused_before_an_array_is_read(run, name, why):
    def add(content):
        tree = content["record"]["tree"]["ema"]
        tree.pop("params/generator/dense_0/kernel")
        tree[name] = [[3], "float32"]

    fit(run / "checkpoints" / "4" / "manifest.json", add)
    shutil.rmtree(run / "checkpoints" / "4" / "ema")
    with pytest.raises(UserError, match=why):
        jaxgan.load(run)


@pytest.mark.parametrize("data", [b"{}", b"[" * 900 + b"]" * 900, b"\xff", b"", b'{"metadata": 3}'])
def test_files_of_orbax_that_were_changed_are_refused(run, data):
    """With the checksums made to fit."""
    folder = run / "checkpoints" / "4"
    files = [path for path in (folder / "ema").rglob("*") if path.is_file()]
    for file in files:
        file.write_bytes(data)
    entries = {str(file.relative_to(folder)): [len(data), hashlib.sha256(data).hexdigest()] for file in files}
    fit(folder / "manifest.json", lambda content: content["files"].update(entries))
    with pytest.raises(UserError, match="step 4 is refused: ema cannot be restored"):
        jaxgan.load(run)


def test_another_step_than_the_folder_s_is_not_believed(run):
    fit(run / "checkpoints" / "4" / "manifest.json", lambda content: content["record"].update(step=99))
    with pytest.raises(UserError, match=r"its folder is 4, but manifest\.json says that it is of step 99"):
        jaxgan.load(run)

"""Runs that were changed by hand: `jaxgan.load` says what the command line says, before an array is read."""

import gc
import hashlib
import json
import shutil

import jax
import jax.numpy as jnp
import pytest
from fuzzing import mutants
from PIL import Image

import jaxgan
from jaxgan.building.assemble import make_task, shapes_of
from jaxgan.checkpoints.checkpoint import Checkpoints
from jaxgan.config.overrides import resolve
from jaxgan.config.run import to_json
from jaxgan.errors import MISTAKE, UserError
from jaxgan.game import State, product_of
from jaxgan.inference.model import load
from jaxgan.main import main

GENERATION = {
    "networks": {
        "generator": {"name": "mlp.Generator", "widths": (8,), "resolution": 8, "channels": 1, "num_classes": 3},
        "discriminator": {"name": "mlp.Discriminator", "widths": (8,), "num_classes": 3},
    },
    "task": {
        "name": "generation.Generation",
        "adversary": {"loss": "adversarial.hinge"},
        "condition": "label",
        "latent_dim": 4,
        "num_classes": 3,
    },
    "optimizers": {name: {"name": "adam", "learning_rate": 1e-3} for name in ("generator", "discriminator")},
    "data": {"name": "jaxgan_digits"},
    "images": 640,
}
RESTORATION = {
    "networks": {
        "generator": {"name": "srvgg.Generator", "channels": 3, "scale": 2, "convs": 1, "base_width": 4, "upscale": 2},
    },
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
    task = make_task(config)
    params, variables = (
        jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), trees)
        for trees in shapes_of(task, config, product_of(task)[1])[0]
    )
    zero = jnp.int32(0)
    state = State(
        **dict.fromkeys(("step", "images_seen", "rollbacks", "skipped", "skipped_in_a_row"), zero),
        averaged_at=dict.fromkeys(params, zero),
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
        ({"task__adversary": "x"}, "config.task.adversary: got 'x', expected a section"),
        ({"task__adversary__augment": "x"}, "adversary.augment: got 'x', expected a section with a name, or None"),
        ({"task__latent_dim": -4}, "config.task.latent_dim: got -4, expected 1 or more"),
        ({"task__adversary__penalties": [3]}, "config.task.adversary.penalties.0: got 3, expected a section"),
        ({"optimizers__generator__b1": 2}, "config.optimizers.generator.b1: got 2"),
        ({"networks__generator__name": "os.system"}, "config.networks.generator.name: 'os.system' is not a network"),
        (
            {"networks__generator__num_classes": 5, "task__num_classes": 5, "networks__discriminator__num_classes": 5},
            "params/generator/label/table/embedding is [3, 4] float32 in it and [5, 4] float32 in this run",
        ),
        (
            {"networks__generator__widths": [8, 8]},
            "params/generator/dense_1/bias is absent in it and [8] float32 in this run",
        ),
        (
            {"networks__generator__resolution": 16},
            "params/generator/image/bias is [64] float32 in it and [256] float32 in this",
        ),
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
    assert load(run).restorer.scale == 2
    change(run, networks__generator__base_width=8)
    with pytest.raises(UserError, match=r"params/generator/conv_0/bias is \[4\] float32 in it and \[8\] float32"):
        load(run)
    change(run, networks__generator__base_width=-8)
    with pytest.raises(UserError, match=r"config\.networks\.generator\.base_width: got -8, expected 1 or more"):
        load(run)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--checkpoint=3", "--checkpoint: got 3, expected one of 'latest', 'best', 4"),
        ("--checkpoint=newest", "--checkpoint: got 'newest', expected best, latest or the number of a step"),
        ("--checkpoint=-4", "--checkpoint: got '-4', expected best, latest or the number of a step"),
        ("--checkpoint=4.0", "--checkpoint: got '4.0', expected"),
        (f"--checkpoint={'9' * 5000}", "--checkpoint: got '99999"),
        ("--count=0", "--count: got 0, expected 1 to 1000000"),
        ("--count=many", "--count: got 'many', expected a whole number from 1 to 1000000"),
        ("--count=10000000000000", "--count: got 10000000000000, expected 1 to 1000000"),
        (f"--count={'9' * 5000}", "expected a whole number from 1 to 1000000"),
        ("--seed=-1", "--seed: got -1, expected 0 or more"),
        ("--seed=9999999999999999999999", "--seed: got 9999999999999999999999, expected 0 to 2147483647"),
        ("--labels=3", "--labels: got 3 to 3, expected 0 to 2"),
        ("--labels=-1", "--labels: got '-1', expected class numbers from 0 on"),
        ("--labels=99999999999999999999", "expected class numbers from 0 on"),
        ("--truncation=-1", "--truncation: got '-1', expected a number of 0 or more"),
        ("--truncation=nan", "--truncation: got 'nan', expected a number of 0 or more"),
        ("--kind=mixing", "--kind=mixing: got a generator without styles"),
    ],
)
def test_a_message_names_the_flag_and_all_that_it_accepts(made, flags, words, tmp_path, capsys):
    assert main([f"--workdir={made}", "--mode=sample", f"--output={tmp_path}/x.png", flags]) == MISTAKE
    told = capsys.readouterr().err
    assert words in told
    assert told.count("\n") == 1
    assert len(told) < 300


def test_the_python_interface_names_its_arguments(made):
    generator = jaxgan.load(made)
    for call, words in (
        (lambda: jaxgan.load(made, step=3), "step: got 3, expected one of 'latest', 'best', 4"),
        (lambda: jaxgan.load(made, batch_size=0), "batch_size: got 0, expected 1 or more"),
        (lambda: generator.generate(0, 0), "n: got 0, expected 1 or more"),
        (lambda: generator.generate(0, 1, [3]), "labels: got 3 to 3, expected 0 to 2"),
        (lambda: generator.generate(0, 1, truncation=-1.0), "truncation: got -1.0, expected 0 or more"),
    ):
        with pytest.raises(UserError) as mistake:
            call()
        assert str(mistake.value) == words


def test_other_modes_say_it_before_they_begin(made, tmp_path, capsys):
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    for flags, words in (
        (["project", f"--input={tmp_path}/a.png", "--steps=0"], "--steps: got 0, expected 1 or more"),
        (
            ["project", f"--input={tmp_path}/a.png", "--checkpoint=x"],
            "--checkpoint: got 'x', expected",
        ),
        (["project", f"--input={tmp_path}/a.png", "--seed=-1"], "--seed: got -1, expected 0 or more"),
        (["export", "--format=safetensors", f"--output={tmp_path}/x", "--checkpoint=x"], "--checkpoint: got 'x'"),
        (
            ["export", "--format=safetensors", f"--output={tmp_path}/x", "--checkpoint=5"],
            "--checkpoint: got 5",
        ),
        (["evaluate", "--samples=1"], "--samples: got 1, expected 2 or more"),
        (["evaluate", "--samples=x"], "--samples: got 'x', expected a whole number of 2 or more"),
        (["evaluate", "--path_length=1"], "--path_length: got 1, expected 2 or more"),
        (["evaluate", "--checkpoint=x"], "--checkpoint: got 'x', expected"),
        (["evaluate", "--against=/dev/zero"], "/dev/zero: expected a file of scores"),
    ):
        assert main([f"--workdir={made}", f"--mode={flags[0]}", *flags[1:]]) == MISTAKE
        assert words in capsys.readouterr().err


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


@pytest.fixture
def collected():
    """What orbax's event loop leaves behind is collected here, and not in the midst of another test."""
    yield
    gc.collect()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of orbax's event loop
@pytest.mark.usefixtures("collected")
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


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of orbax's event loop
@pytest.mark.usefixtures("collected")
@pytest.mark.slow
def test_mutants_of_files_of_orbax_whose_checksums_fit_are_read_or_refused(run):
    folder = run / "checkpoints" / "4"
    files = [path for path in sorted((folder / "ema").rglob("*")) if path.is_file()]
    whole = json.loads((folder / "manifest.json").read_text())["files"]
    refused = 0
    for index, file in enumerate(files):
        original, name = file.read_bytes(), str(file.relative_to(folder))
        for mutant in mutants([original], 120 // len(files), seed=index):
            file.write_bytes(mutant)
            entry = [len(mutant), hashlib.sha256(mutant).hexdigest()]
            fit(folder / "manifest.json", lambda content, told={name: entry}: content.update(files=whole | told))
            try:
                jaxgan.load(run)
            except UserError:
                refused += 1
        file.write_bytes(original)
    assert refused > 10


def test_another_step_than_the_folder_s_is_not_believed(run):
    fit(run / "checkpoints" / "4" / "manifest.json", lambda content: content["record"].update(step=99))
    with pytest.raises(UserError, match=r"its folder is 4, but manifest\.json has step 99"):
        jaxgan.load(run)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("networks__generator__channels", 10**9, r"params/generator/image/bias is \[64\] float32 in it"),
        ("networks__generator__resolution", 10**6, r"params/generator/image/bias is \[64\] float32 in it"),
    ],
)
def test_what_a_config_asks_for_is_not_made_to_be_compared(run, field, value, words):
    change(run, **{field: value})  # a picture of 256 GB or more
    with pytest.raises(UserError, match=words):
        jaxgan.load(run)


@pytest.mark.parametrize("name", ["config", "class_names"])
def test_a_record_may_lack_what_only_some_say(run, name):
    fit(run / "checkpoints" / "4" / "manifest.json", lambda content: content["record"].pop(name))
    assert not getattr(jaxgan.load(run), name)


@pytest.mark.parametrize("seed", ["x", -1, True, None, [3], 2**63])
def test_a_recorded_seed_that_is_none(run, seed):
    fit(run / "checkpoints" / "4" / "manifest.json", lambda content: content["record"].update(config={"seed": seed}))
    with pytest.raises(UserError, match="recorded with step 4: got seed"):
        jaxgan.load(run)


def test_a_file_in_the_place_of_the_checkpoints(run):
    shutil.rmtree(run / "checkpoints")
    (run / "checkpoints").write_text("")
    with pytest.raises(UserError, match=r"no checkpoint in .*checkpoints"):
        jaxgan.load(run)

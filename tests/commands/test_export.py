"""A run's generator, exported in every format and read back."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from jaxgan.building.assemble import make_task
from jaxgan.checkpoints.checkpoint import Checkpoints
from jaxgan.commands.export import run as export
from jaxgan.config.run import DataConfig, RunConfig, to_json, to_tree
from jaxgan.errors import FINISHED, UserError
from jaxgan.exporting import stablehlo
from jaxgan.game import State
from jaxgan.inference.model import load
from jaxgan.weights import reading

CONFIG = RunConfig(
    networks={
        "generator": {"name": "dcgan.Generator", "resolution": 8, "channels": 1, "num_classes": 3, "widths": (8,)},
        "discriminator": {"name": "dcgan.Discriminator", "resolution": 8, "num_classes": 3, "widths": (8,)},
    },
    task={
        "name": "generation.Generation",
        "adversary": {"loss": "adversarial.non_saturating"},
        "latent_dim": 5,
        "condition": "label",
        "num_classes": 3,
    },
    optimizers={},
    data=DataConfig(name="jaxgan_digits"),
    epochs=1,
    compilation_cache=False,
)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """A run with the untrained networks as checkpoint 4."""
    path = tmp_path_factory.mktemp("runs")
    task = make_task(CONFIG)
    batch = {"image": jnp.zeros((2, 8, 8, 1)), "label": jnp.zeros(2, jnp.int32)}
    params, variables = jax.jit(task.init)(jax.random.key(0), batch)
    average = {"ema_params": {"generator": params["generator"]}, "ema_variables": {"generator": variables["generator"]}}
    zero = {field.name: jnp.int32(0) for field in dataclasses.fields(State)}
    state = State(**{**zero, "params": params, "variables": variables, "opt_state": {}, "carry": {}, **average})
    (path / "config.json").write_text(to_json(CONFIG))
    with Checkpoints(path / "checkpoints", config=to_tree(CONFIG), class_names=["a", "b", "c"]) as checkpoints:
        checkpoints.save(state, step=4, images=64, metrics={})
    return path


@pytest.fixture(autouse=True)
def _any_batch():
    """The checks of shapes at test time know no side without a number."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def written(workdir, path, **options):
    assert export(CONFIG, str(workdir), {"output": str(path), **options}) == FINISHED
    assert list(path.parent.iterdir()) == [path]
    return path


def drawn(workdir, **options):
    generator = load(workdir)
    latents, labels = np.asarray(generator.latents(0, 3)), np.asarray([2, 0, 1], np.int32)
    images = generator.synthesize(latents, labels, **options)
    assert images.std() > 1e-4
    return latents, labels, images


def test_stablehlo_gives_the_images_of_the_run(workdir, tmp_path, capsys):
    pytest.importorskip("flatbuffers")
    path = written(workdir, tmp_path / "new" / "g.bin", format="stablehlo", truncation="0.7", platforms="cpu")
    assert "stablehlo of step 4:" in capsys.readouterr().out
    latents, labels, images = drawn(workdir, truncation=0.7)
    np.testing.assert_allclose(stablehlo.load(path)(latents, labels), images, atol=1e-5 * np.abs(images).max())


@pytest.mark.parametrize("truncation", [None, 0.7])
def test_onnx_gives_the_images_of_the_run(truncation, workdir, tmp_path):
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    options = {} if truncation is None else {"truncation": str(truncation)}
    path = written(workdir, tmp_path / "g.onnx", format="onnx", **options)
    latents, labels, images = drawn(workdir, truncation=truncation)
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = session.run(["image"], {"latent": latents, "label": labels})[0]
    np.testing.assert_allclose(found, images, atol=1e-4 * np.abs(images).max())


def test_safetensors_hold_every_weight_and_the_config(workdir, tmp_path):
    path = written(workdir, tmp_path / "g.safetensors", format="safetensors")
    tensors = reading.read(path)
    expected = load(workdir).tensors()
    assert tensors.keys() == expected.keys()
    for name, tensor in expected.items():
        np.testing.assert_array_equal(tensors[name], tensor)
    raw = path.read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    assert json.loads(header["__metadata__"]["config"])["task"]["latent_dim"] == 5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "--format: got None, expected one of safetensors, stablehlo, onnx"),
        ({"format": "onnx"}, "--output is missing"),
        ({"format": "onnx", "output": "/"}, "is a folder"),
        (
            {"format": "onnx", "output": "g", "platforms": "cpu"},
            "--platforms: got it with --format=onnx, which runs everywhere",
        ),
        ({"format": "safetensors", "output": "g", "truncation": "1"}, "--truncation: weights do not depend on it"),
        ({"format": "stablehlo", "output": "g", "truncation": "much"}, "--truncation: got 'much'"),
        ({"format": "stablehlo", "output": "g", "platforms": "abacus"}, "--platforms: got 'abacus'"),
    ],
)
def test_mistakes_are_told_and_leave_nothing(options, words, workdir, tmp_path):
    if options.get("output") == "g":
        options = {**options, "output": str(tmp_path / "g")}
    with pytest.raises(UserError, match=words):
        export(CONFIG, str(workdir), options)
    assert not list(tmp_path.iterdir())

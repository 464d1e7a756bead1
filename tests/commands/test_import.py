"""Published StyleGAN2 weights as a run, by two layouts of names; the values beside PyTorch's: tests/parity."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgan
from jaxgan.errors import UserError
from jaxgan.main import main
from jaxgan.models.stylegan2 import Generator
from jaxgan.weights import safetensors

PIXELS, CLASSES = (4, 8, 16), 3


def make_network(num_classes):
    fields = {"style_dim": 6, "mapping_layers": 2, "base_width": 4, "max_width": 9}
    network = Generator(16, 3, num_classes, **fields)
    label = jnp.zeros(2, int) if num_classes else None
    tree = jax.jit(lambda: network.init(jax.random.key(0), jnp.zeros((2, 5)), label, train=False))()
    random = np.random.default_rng(0)  # zeros would hide what is lost
    return network, jax.tree.map(lambda x: x + 0.3 * random.normal(size=x.shape).astype(np.float32), tree)


def unmapped(layer):
    return {"weight": np.asarray(layer["kernel"]).T, "bias": np.asarray(layer["bias"])}


def torch_kernel(kernel):
    return np.asarray(kernel).transpose(3, 2, 0, 1)


def nvidia_names(tree):
    """Our tree under NVIDIA's names."""
    params, constants = tree["params"], tree["constants"]["synthesis"]
    synthesis = params["synthesis"]
    found = {"synthesis.b4.const": np.asarray(synthesis["constant"]).transpose(2, 0, 1)}
    layers = {f"mapping.fc{i}": unmapped(params["mapping"][f"dense_{i}"]) for i in range(2)}
    if "label" in params["mapping"]:
        layers["mapping.embed"] = unmapped(params["mapping"]["label"])
    for pixels in PIXELS:
        block = f"synthesis.b{pixels}"
        for ours, theirs in ((f"conv_{pixels}", "conv1"), (f"to_rgb_{pixels}", "torgb"), (f"up_{pixels}", "conv0")):
            if ours not in synthesis:
                continue
            layers[f"{block}.{theirs}.affine"] = unmapped(synthesis[ours]["affine"])
            layers[f"{block}.{theirs}"] = {
                "weight": torch_kernel(synthesis[ours]["kernel"]),
                "bias": synthesis[ours]["bias"],
            }
            if theirs != "torgb":
                layers[f"{block}.{theirs}"] |= {
                    "noise_strength": synthesis[ours]["noise_strength"],
                    "noise_const": constants[ours]["noise"],
                    "resample_filter": np.ones((4, 4)),
                }
    found |= {f"{layer}.{name}": value for layer, parts in layers.items() for name, value in parts.items()}
    return {**found, "mapping.w_avg": tree["average"]["style_mean"]}


def torch_names(tree):
    """Our tree under the names of the common PyTorch re-implementation."""
    params, constants = tree["params"], tree["constants"]["synthesis"]
    synthesis, found = (
        params["synthesis"],
        {"input.input": np.asarray(params["synthesis"]["constant"]).transpose(2, 0, 1)[None]},
    )
    for index in range(2):
        layer = unmapped(params["mapping"][f"dense_{index}"])
        found |= {f"style.{index + 1}.{name}": value for name, value in layer.items()}
    order = ["conv_4", "up_8", "conv_8", "up_16", "conv_16"]
    for number, name in enumerate(order):
        layer, theirs = synthesis[name], "conv1" if number == 0 else f"convs.{number - 1}"
        affine = unmapped(layer["affine"])
        found |= {f"{theirs}.conv.modulation.{key}": value for key, value in affine.items()}
        found[f"{theirs}.conv.weight"] = torch_kernel(layer["kernel"])[None]
        found[f"{theirs}.conv.blur.kernel"] = np.ones((4, 4))
        found[f"{theirs}.noise.weight"] = np.asarray(layer["noise_strength"]).reshape(1)
        found[f"{theirs}.activate.bias"] = layer["bias"]
        found[f"noises.noise_{number}"] = np.asarray(constants[name]["noise"])[None, None]
    for number, pixels in enumerate(PIXELS):
        layer, theirs = synthesis[f"to_rgb_{pixels}"], "to_rgb1" if number == 0 else f"to_rgbs.{number - 1}"
        found |= {f"{theirs}.conv.modulation.{key}": value for key, value in unmapped(layer["affine"]).items()}
        found[f"{theirs}.conv.weight"] = torch_kernel(layer["kernel"])[None]
        found[f"{theirs}.bias"] = np.asarray(layer["bias"]).reshape(1, -1, 1, 1)
    return {f"g_ema.{name}": value for name, value in found.items()} | {"latent_avg": tree["average"]["style_mean"]}


def save(path, names):
    safetensors.write(path, {name: np.asarray(value, np.float32) for name, value in names.items()})
    return str(path)


@pytest.mark.parametrize(
    ("layout", "classes"),
    [
        pytest.param(nvidia_names, 0, marks=pytest.mark.slow),
        pytest.param(torch_names, 0, marks=pytest.mark.slow),
        (nvidia_names, CLASSES),
    ],
)
def test_a_file_becomes_a_run_that_draws_the_same(layout, classes, tmp_path, capsys):
    network, tree = make_network(classes)
    path, workdir = save(tmp_path / "w.safetensors", layout(tree)), str(tmp_path / "run")
    assert main(["--mode=import", "--weights", path, "--workdir", workdir]) == 0
    assert f"--mode=sample --workdir={workdir}" in capsys.readouterr().out
    model = jaxgan.load(workdir, batch_size=2)
    assert (model.num_classes, model.step) == (classes, 0)
    latents = jax.random.normal(jax.random.key(3), (2, 5))
    label = jnp.array([2, 1]) if classes else None
    for truncation in (None, 0.5):
        images = jax.jit(partial(network.apply, train=False, truncation=truncation))(tree, latents, label)
        drawn = model.synthesize(latents, label, truncation=truncation)
        np.testing.assert_allclose(drawn, images, atol=1e-5)


def test_a_missing_mean_style_is_made(tmp_path):
    network, tree = make_network(0)
    names = {name: value for name, value in torch_names(tree).items() if name != "latent_avg"}
    workdir = str(tmp_path / "run")
    assert main(["--mode=import", "--weights", save(tmp_path / "w.safetensors", names), "--workdir", workdir]) == 0
    mean = jaxgan.load(workdir).tensors()["average/style_mean"]
    latents = jax.random.normal(jax.random.key(9), (10_000, 5))
    expected = network.apply(tree, latents, None, train=False, method="map")[:, 0].mean(0)
    np.testing.assert_allclose(mean, expected, atol=0.1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda n: n.pop("synthesis.b8.conv0.bias"), "the weights lack synthesis.b8.conv0.bias"),
        (lambda n: n.update({"synthesis.b8.extra": np.zeros(1)}), "the weights have synthesis.b8.extra"),
        (lambda n: n.pop("synthesis.b4.const"), "match no known StyleGAN2 generator"),
    ],
)
def test_another_file_is_told_in_one_line(change, words, tmp_path, capsys):
    names = nvidia_names(make_network(0)[1])
    change(names)
    workdir = tmp_path / "run"
    path = save(tmp_path / "w.safetensors", names)
    assert main(["--mode=import", "--weights", path, "--workdir", str(workdir)]) == 2
    assert words in capsys.readouterr().err
    assert not workdir.exists()


def test_a_run_is_not_written_over(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    from jaxgan.commands.import_weights import run

    with pytest.raises(UserError, match="there is already a run in it"):
        run(None, str(tmp_path), {"weights": "x"})

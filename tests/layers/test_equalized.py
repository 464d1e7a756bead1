"""Layers with equalised learning rate against their formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.layers.equalized import EqualizedConv, EqualizedDense, leaky_relu, pixel_norm


def test_dense_scales_kernel_and_bias():
    layer = EqualizedDense(3, lr_multiplier=0.1, gain=2.0)
    x = jax.random.normal(jax.random.key(0), (4, 5))
    params = layer.init(jax.random.key(1), x)
    kernel, bias = params["params"]["kernel"], jnp.asarray([1.0, -2.0, 3.0])
    y = layer.apply({"params": {"kernel": kernel, "bias": bias}}, x)
    np.testing.assert_allclose(y, x @ kernel * (2.0 * 0.1 / np.sqrt(5)) + 0.1 * bias, rtol=1e-5)


def test_dense_starts_with_the_bias_that_is_asked_for():
    layer = EqualizedDense(3, lr_multiplier=0.1, bias_init=1.5)
    zero = jnp.zeros((1, 5))
    np.testing.assert_allclose(layer.init_with_output(jax.random.key(0), zero)[0], 1.5, rtol=1e-6)
    assert "bias" not in EqualizedDense(3, use_bias=False).init(jax.random.key(0), zero)["params"]


@pytest.mark.parametrize("inputs", [4, 400])
def test_learning_rates_are_equalised(inputs):
    # the same step of a param moves the output as much, however many inputs there are, in the mean square
    layer, x = EqualizedDense(1, use_bias=False), jnp.ones((1, inputs))
    params = layer.init(jax.random.key(0), x)
    moved = jax.grad(lambda p: layer.apply(p, x).sum())(params)["params"]["kernel"]
    assert float(jnp.square(moved).sum()) == pytest.approx(1.0)


@pytest.mark.parametrize(("size", "stride", "padding"), [(3, 1, None), (1, 1, None), (3, 2, 0)])
def test_conv_equals_loops(size, stride, padding):
    layer = EqualizedConv(2, size, stride, padding, gain=0.5)
    x = np.random.default_rng(0).normal(size=(2, 7, 7, 3)).astype(np.float32)
    params = layer.init(jax.random.key(0), jnp.asarray(x))["params"]
    kernel = np.asarray(params["kernel"], np.float64) * 0.5 / np.sqrt(size * size * 3)
    margin = size // 2 if padding is None else padding
    padded = np.pad(x, ((0, 0), (margin,) * 2, (margin,) * 2, (0, 0)))
    length = (7 + 2 * margin - size) // stride + 1
    expected = np.zeros((2, length, length, 2))
    for i in range(length):
        for j in range(length):
            patch = padded[:, i * stride : i * stride + size, j * stride : j * stride + size]
            expected[:, i, j] = np.einsum("bhwi,hwio->bo", patch, kernel)
    y = layer.apply({"params": {**params, "bias": jnp.ones(2)}}, jnp.asarray(x))
    np.testing.assert_allclose(y, expected + 1, atol=1e-5)


def test_pixel_norm_and_activation_keep_the_mean_square():
    x = jax.random.normal(jax.random.key(0), (3, 4, 500)) * 7
    np.testing.assert_allclose(jnp.square(pixel_norm(x)).mean(axis=-1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(leaky_relu(jnp.asarray([1.0, -1.0])), [np.sqrt(2), -0.2 * np.sqrt(2)], rtol=1e-6)

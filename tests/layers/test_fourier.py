"""Fast Fourier convolution against numpy's transforms."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxgan.errors import UserError
from jaxgan.layers.fourier import FastFourierConv, FourierUnit, SpectralTransform

KEY = jax.random.key(0, impl="unsafe_rbg")  # whose normal numbers compile in a seventh of the time
X = np.random.default_rng(0).normal(size=(2, 5, 6, 8)).astype(np.float32)
FRESH = np.sqrt(1 + 1e-5)  # what a batch norm that saw nothing yet divides by


def relu(x):
    return np.maximum(x, 0) / FRESH


def fourier_unit(kernel, x):
    """In numpy, in float64; the norm is fresh."""
    spectrum = np.fft.rfft2(x, axes=(1, 2), norm="ortho")
    parts = relu(np.concatenate([spectrum.real, spectrum.imag], axis=-1) @ kernel)
    real, imaginary = np.split(parts, 2, axis=-1)
    return np.fft.irfft2(real + 1j * imaginary, s=x.shape[1:3], axes=(1, 2), norm="ortho")


def made(layer, x=X):
    tree = jax.jit(lambda: layer.init(KEY, jnp.asarray(x), train=False))()
    y = jax.jit(partial(layer.apply, train=False))(tree, jnp.asarray(x))
    return np.asarray(y), jax.tree.map(np.asarray, tree["params"])


@pytest.mark.parametrize("size", [(5, 6), (4, 7), (1, 1)])
def test_the_fourier_unit_is_numpy_s(size):
    x = np.random.default_rng(1).normal(size=(2, *size, 3)).astype(np.float32)
    y, params = made(FourierUnit(4), x)
    assert y.shape == (2, *size, 4)
    np.testing.assert_allclose(y, fourier_unit(params["conv"]["kernel"][0, 0], x), atol=1e-5)


def test_the_spectral_transform_adds_its_input():
    y, params = made(SpectralTransform(6))
    narrow = relu(X @ params["narrow"]["kernel"][0, 0])
    assert narrow.shape[-1] == 3
    inner = narrow + fourier_unit(params["fourier"]["conv"]["kernel"][0, 0], narrow)
    np.testing.assert_allclose(y, inner @ params["widen"]["kernel"][0, 0], atol=1e-5)


def test_local_channels_see_neighbours_and_global_ones_everything():
    y, params = made(FastFourierConv(12, 0.75))
    around = np.pad(X, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")  # 2 local channels, 6 global ones

    def convolved(x, name):
        return lax.conv_general_dilated(
            x, params[name]["kernel"], (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    from_local, from_global = convolved(around[..., :2], "from_local"), convolved(around[..., 2:], "from_global")
    transform = SpectralTransform(9)
    fresh = jax.jit(lambda: transform.init(KEY, jnp.asarray(X[..., 2:]), train=False))()
    tree = {**fresh, "params": params["spectral"]}
    spectral = jax.jit(partial(transform.apply, train=False))(tree, jnp.asarray(X[..., 2:]))
    np.testing.assert_allclose(y[..., :3], from_local[..., :3] + from_global, atol=1e-5)
    np.testing.assert_allclose(y[..., 3:], from_local[..., 3:] + spectral, atol=1e-5)


@pytest.mark.parametrize(("features", "ratio"), [(8, 0.0), (8, 1.0), (1, 0.75), (8, 0.1)])
def test_ratios_that_leave_one_kind_only_are_refused(features, ratio):
    with pytest.raises(UserError, match="expected a ratio that leaves local and global"):
        jax.eval_shape(lambda: FastFourierConv(features, ratio).init(KEY, jnp.asarray(X), train=False))


def test_half_precision_has_transforms_in_float32_and_finite_gradients():
    layer, x = FastFourierConv(8, dtype=jnp.bfloat16), jnp.asarray(X)
    tree = jax.jit(lambda: layer.init(KEY, x, train=False))()

    def loss(params):
        y, _ = layer.apply({**tree, "params": params}, x, train=True, mutable=["batch_stats"])
        return jnp.sin(y.astype(jnp.float32)).sum(), y

    gradient, y = jax.jit(jax.grad(loss, has_aux=True))(tree["params"])
    assert y.dtype == jnp.bfloat16
    assert all(leaf.dtype == jnp.float32 and np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    assert np.abs(gradient["spectral"]["fourier"]["conv"]["kernel"]).max() > 0

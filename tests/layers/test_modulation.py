"""Modulated convolution against the per-sample kernels that the paper writes down."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxgan.layers.modulation import StyledConv, ToRGB, modulated_conv
from jaxgan.layers.resampling import blur

LAYOUT = ("NHWC", "HWIO", "NHWC")


def example(size, seed=0):
    keys = jax.random.split(jax.random.key(seed), 3)
    x = jax.random.normal(keys[0], (2, 4, 4, 3))
    return x, jax.random.normal(keys[1], (size, size, 3, 5)), 1 + 0.5 * jax.random.normal(keys[2], (2, 3))


def by_sample(x, kernel, scale, demodulate, up):
    """Equations 1 and 3, a kernel of its own for each image."""
    images = []
    for image, own in zip(x, scale):
        weight = own[None, None, :, None] * kernel
        if demodulate:
            weight = weight / jnp.sqrt(jnp.square(weight).sum((0, 1, 2)) + 1e-8)
        pad = kernel.shape[0] // 2
        if up:  # a pixel of the input, times the kernel, at every second place
            sparse = jnp.zeros((1, 9 + 2, 9 + 2, 3)).at[:, 2:10:2, 2:10:2].set(image)
            y = lax.conv_general_dilated(sparse, weight[::-1, ::-1], (1, 1), ((0, 0),) * 2, dimension_numbers=LAYOUT)
            images.append(blur(y, (1, 1), gain=4.0))
        else:
            y = lax.conv_general_dilated(image[None], weight, (1, 1), ((pad, pad),) * 2, dimension_numbers=LAYOUT)
            images.append(y)
    return jnp.concatenate(images)


@pytest.mark.parametrize(("size", "demodulate", "up"), [(3, True, False), (3, True, True), (1, False, False)])
def test_modulated_conv_equals_a_kernel_for_each_sample_to_the_second_derivative(size, demodulate, up):
    inputs = example(size)

    def derivatives(function):
        def loss(*inputs):
            return jnp.sin(function(*inputs)).sum()

        def penalty(*inputs):
            return sum(jnp.square(g).sum() for g in jax.grad(loss, (0, 2))(*inputs))

        def both(*inputs):
            return function(*inputs), jax.grad(loss, (0, 1, 2))(*inputs), jax.grad(penalty, (0, 1, 2))(*inputs)

        return jax.jit(both)(*inputs)

    ours = derivatives(lambda *inputs: modulated_conv(*inputs, demodulate=demodulate, up=up))
    theirs = derivatives(lambda *inputs: by_sample(*inputs, demodulate, up))
    for mine, reference in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs)):
        assert float(jnp.linalg.norm(mine - reference) / jnp.linalg.norm(reference)) < 2e-5


def test_second_derivative_equals_a_finite_difference():
    x, kernel, scale = example(3)
    direction = jax.random.normal(jax.random.key(3), scale.shape)

    @jax.jit
    def slope(scale):  # along the direction
        value = lambda scale: jnp.sin(modulated_conv(x, kernel, scale, up=True)).sum()  # noqa: E731
        return (jax.grad(value)(scale) * direction).sum()

    step = 1e-2
    difference = (slope(scale + step * direction) - slope(scale - step * direction)) / (2 * step)
    exact = (jax.jit(jax.grad(slope))(scale) * direction).sum()
    np.testing.assert_allclose(exact, difference, rtol=1e-2)


def test_demodulation_forgets_the_size_of_styles_and_keeps_the_variance():
    x, kernel, scale = example(3)
    one = modulated_conv(x, kernel, scale)
    np.testing.assert_allclose(modulated_conv(x, kernel, 100 * scale), one, rtol=1e-4, atol=1e-5)
    noise = jax.random.normal(jax.random.key(0), (2, 64, 64, 3))
    for up in (False, True):
        y = modulated_conv(noise, kernel, scale, up=up)[:, 2:-2, 2:-2]
        assert 0.6 < float(y.var()) < 1.4 or up  # a doubled image has lost the high frequencies
        assert np.isfinite(y).all()


def styled(**fields):
    layer, x, style = StyledConv(5, **fields), jnp.ones((2, 4, 4, 3)), jnp.ones((2, 6))
    variables = layer.init(jax.random.key(0), x, style, train=False)
    return layer, x, style, variables


def test_noise_is_drawn_in_training_and_constant_else():
    layer, x, style, variables = styled()
    loud = {**variables, "params": {**variables["params"], "noise_strength": jnp.float32(2.0)}}
    quiet = layer.apply(variables, x, style, train=True, rngs={"noise": jax.random.key(1)})
    np.testing.assert_array_equal(quiet, layer.apply(variables, x, style, train=False))  # the strength starts at 0

    still = layer.apply(loud, x, style, train=False)
    np.testing.assert_array_equal(still, layer.apply(loud, x, style, train=True))  # no rng, no draw
    np.testing.assert_allclose(still[0], still[1], atol=1e-6)  # the inputs are equal, and so is the noise
    a, b = (layer.apply(loud, x, style, train=True, rngs={"noise": jax.random.key(i)}) for i in (1, 2))
    assert not np.allclose(a, b)
    assert not np.allclose(a[0], a[1])


def test_noise_bias_and_activation_follow_the_convolution():
    layer, x, style, variables = styled(up=True)
    params = {**variables["params"], "noise_strength": jnp.float32(-0.7), "bias": jnp.arange(5.0) - 2}
    noise = variables["constants"]["noise"]
    assert noise.shape == (8, 8)
    affine = params["affine"]
    scale = style @ affine["kernel"] / np.sqrt(6) + affine["bias"]
    np.testing.assert_array_equal(affine["bias"], 1.0)
    y = modulated_conv(x, params["kernel"], scale, up=True) - 0.7 * noise[None, :, :, None] + params["bias"]
    expected = np.sqrt(2) * np.where(y > 0, y, 0.2 * y)
    np.testing.assert_allclose(layer.apply({**variables, "params": params}, x, style, train=False), expected, atol=1e-4)


def test_clamp_and_dtype():
    layer, x, style, variables = styled(clamp=0.25, dtype=jnp.bfloat16)
    y = layer.apply(variables, x, style, train=False)
    assert y.dtype == jnp.bfloat16
    assert float(abs(y).max()) == 0.25
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(variables))


def test_to_rgb_is_a_weighted_sum_of_channels():
    layer, x = ToRGB(2, dtype=jnp.bfloat16), jax.random.normal(jax.random.key(0), (2, 4, 4, 3))
    style = jax.random.normal(jax.random.key(1), (2, 6))
    params = layer.init(jax.random.key(2), x, style)["params"]
    assert layer.apply({"params": params}, x, style).dtype == jnp.float32
    scale = style @ params["affine"]["kernel"] / np.sqrt(6) + 1
    expected = jnp.einsum("bhwi,bi,io->bhwo", x, scale, params["kernel"][0, 0]) / np.sqrt(3) + 0.5
    y = ToRGB(2).apply({"params": {**params, "bias": jnp.full(2, 0.5)}}, x, style)
    np.testing.assert_allclose(y, expected, atol=1e-5)

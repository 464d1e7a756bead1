"""Convolutions against the native operation, with first and second derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxgan.layers.conv import Conv, ConvTranspose, Geometry, conv, conv_transpose, groups_merged

LAYOUT = ("NHWC", "HWIO", "NHWC")
CASES = [  # kernel, stride, padding, groups, height, width
    (3, 1, 1, 1, 5, 6),
    (4, 2, 1, 1, 8, 6),
    (3, 2, 1, 1, 7, 6),
    (5, 3, 2, 1, 8, 7),
    (1, 1, 0, 1, 4, 4),
    (1, 2, 0, 1, 5, 4),
    (3, 1, 1, 2, 4, 5),
    (4, 2, 1, 3, 6, 6),
    (3, 2, 1, 40, 5, 4),
]


def relative(a, b):
    return float(jnp.linalg.norm(a - b) / jnp.linalg.norm(b))


def example(kernel, groups, height, width, seed=0):
    keys = jax.random.split(jax.random.key(seed), 2)
    x = jax.random.normal(keys[0], (2, height, width, 2 * groups))
    return x, jax.random.normal(keys[1], (kernel, kernel, 2, 3 * groups))


def derivatives(function, x, w):
    """The value, both gradients of a nonlinear loss, and the gradients of a gradient penalty."""

    def loss(x, w):
        return jnp.sin(function(x, w)).sum()

    def penalty(x, w):
        return jnp.square(jax.grad(loss)(x, w)).sum()

    return function(x, w), *jax.grad(loss, (0, 1))(x, w), *jax.grad(penalty, (0, 1))(x, w)


@pytest.mark.parametrize(("kernel", "stride", "padding", "groups", "height", "width"), CASES)
def test_conv_equals_the_native_one_to_the_second_derivative(kernel, stride, padding, groups, height, width):
    x, w = example(kernel, groups, height, width)
    pads = ((padding, padding),) * 2
    geometry = Geometry((stride, stride), pads, groups, (height, width))

    def native(x, w):
        return lax.conv_general_dilated(
            x, w, (stride, stride), pads, dimension_numbers=LAYOUT, feature_group_count=groups
        )

    ours = jax.jit(lambda x, w: derivatives(lambda x, w: conv(x, w, geometry), x, w))(x, w)
    theirs = jax.jit(lambda x, w: derivatives(native, x, w))(x, w)
    for mine, reference in zip(ours, theirs):
        assert relative(mine, reference) < 1e-5


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(4, 2, 1), (3, 1, 1), (5, 3, 1)])
def test_conv_transpose_equals_the_native_one_to_the_second_derivative(kernel, stride, padding):
    y, w = example(kernel, 1, 4, 5)
    size = tuple((length - 1) * stride + kernel - 2 * padding for length in y.shape[1:3])
    geometry = Geometry((stride, stride), ((padding, padding),) * 2, 1, size)

    def native(y, w):
        pads = [(kernel - 1 - padding,) * 2] * 2
        return lax.conv_transpose(y, w, (stride, stride), pads, dimension_numbers=LAYOUT)

    def mirrored(w):  # the native one has its kernel as a convolution would slide it
        return w[::-1, ::-1].swapaxes(2, 3)

    ours = jax.jit(lambda y, w: derivatives(lambda y, w: conv_transpose(y, mirrored(w), geometry), y, w))(y, w)
    theirs = jax.jit(lambda y, w: derivatives(native, y, w))(y, w)
    for mine, reference in zip(ours, theirs):
        assert relative(mine, reference) < 1e-5


@pytest.mark.parametrize(
    ("kernel", "pads", "inputs", "outputs"),
    [(5, ((2, 2), (2, 2)), 16, 3), (3, ((0, 2), (1, 0)), 16, 2), (5, ((2, 1), (0, 3)), 3, 16)],
)
def test_few_channels_on_either_side_are_no_different(kernel, pads, inputs, outputs):
    keys = jax.random.split(jax.random.key(0), 2)
    x = jax.random.normal(keys[0], (2, 6, 7, inputs))
    w = jax.random.normal(keys[1], (kernel, kernel, inputs, outputs))
    geometry = Geometry((1, 1), pads, 1, (6, 7))

    def native(x, w):
        return lax.conv_general_dilated(x, w, (1, 1), pads, dimension_numbers=LAYOUT)

    ours = jax.jit(lambda x, w: derivatives(lambda x, w: conv(x, w, geometry), x, w))
    theirs = jax.jit(lambda x, w: derivatives(native, x, w))(x, w)
    for mine, reference in zip(ours(x, w), theirs):
        assert relative(mine, reference) < 1e-5
    forward, form = (convolutions(lambda x, w: conv(x, w, geometry), x, w, platform=name) for name in ("cuda", "cpu"))
    assert (forward == form) is (outputs > 3)  # only a narrow image is made of columns, and on CPU only


@pytest.mark.parametrize(
    ("kernel", "pads", "size"),
    [(3, ((1, 1), (1, 1)), (6, 8)), (4, ((1, 1), (1, 1)), (7, 6)), (5, ((0, 3), (2, 1)), (8, 5))],
)
def test_phases_of_wide_images_are_no_different(kernel, pads, size):
    keys = jax.random.split(jax.random.key(0), 2)
    x = jax.random.normal(keys[0], (2, *size, 16))
    w = jax.random.normal(keys[1], (kernel, kernel, 16, 3))
    geometry = Geometry((2, 2), pads, 1, size)

    def native(x, w):
        return lax.conv_general_dilated(x, w, (2, 2), pads, dimension_numbers=LAYOUT)

    ours = jax.jit(lambda x, w: derivatives(lambda x, w: conv(x, w, geometry), x, w))
    theirs = jax.jit(lambda x, w: derivatives(native, x, w))(x, w)
    for mine, reference in zip(ours(x, w), theirs):
        assert relative(mine, reference) < 1e-5
    gradient = jax.grad(lambda x, w: jnp.sin(conv(x, w, geometry)).sum())
    counts = [len(convolutions(gradient, x, w, platform=name)) for name in ("cuda", "cpu")]
    assert counts == [2, 1 + 4]  # the phases, on CPU only


def test_third_derivatives_exist():
    x, w = example(4, 1, 6, 6)
    geometry = Geometry((2, 2), ((1, 1),) * 2, 1, (6, 6))

    def thrice(function):
        first = jax.grad(lambda x: jnp.sin(function(x, w)).sum())
        second = jax.grad(lambda x: jnp.sin(first(x)).sum())
        return jax.grad(lambda x: jnp.sin(second(x)).sum())(x)

    native = thrice(lambda x, w: lax.conv_general_dilated(x, w, (2, 2), ((1, 1),) * 2, dimension_numbers=LAYOUT))
    assert relative(thrice(lambda x, w: conv(x, w, geometry)), native) < 1e-5


def convolutions(function, *arguments, platform="cpu"):
    """The lines of the convolutions of what would be compiled for a platform."""
    lowered = jax.jit(function).trace(*arguments).lower(lowering_platforms=(platform,))
    return [line for line in lowered.as_text().splitlines() if "stablehlo.convolution" in line]


@pytest.mark.parametrize("layer", [Conv(3, 4, stride=2, padding=1), ConvTranspose(3)])
def test_no_weight_gradient_of_a_dilated_image_is_compiled_at_any_order(layer):
    x = jnp.ones((2, 4, 4, 2))
    params = layer.init(jax.random.key(0), x)

    def loss(params, x):
        return jnp.sin(layer.apply(params, x)).sum()

    def penalty(params, x):
        return jnp.square(jax.grad(loss, 1)(params, x)).sum()

    weight_gradients = [
        line
        for function in (loss, penalty)
        for line in convolutions(jax.grad(function), params, x)
        if "dim_numbers = [f, 0, 1, b]" in line
    ]
    assert len(weight_gradients) == 3  # one of the loss, two of the penalty
    assert not [line for line in weight_gradients if "lhs_dilate = [2, 2]" in line]


def test_groups_are_merged_on_cpu_only():
    x, w = example(3, 40, 4, 5)  # 40 groups of 2 channels
    geometry = Geometry((1, 1), ((1, 1),) * 2, 40, (4, 5))
    gradient = jax.grad(lambda x, w: jnp.sin(conv(x, w, geometry)).sum(), (0, 1))
    native, merged = (convolutions(gradient, x, w, platform=platform) for platform in ("cuda", "cpu"))
    # forward and both gradients: by parts of 16, 16 and 8 groups of x, or of 11, 11, 11 and 7 of y, which is wider
    assert [len(native), len(merged)] == [3, 3 + 4 + 3]
    assert all("_group_count = 40" in line for line in native)
    assert not any("_group_count = 40" in line for line in merged)


@pytest.mark.parametrize(
    ("groups", "width", "merged"),
    [(8, 16, 2), (8, 64, 1), (2, 4, 2), (96, 16, 8), (96, 64, 8), (13, 32, 2)],
)
def test_merged_groups_are_wide_enough_and_few_enough(groups, width, merged):
    assert groups_merged(groups, width) == merged


@pytest.mark.parametrize("padding", ["SAME", "VALID", 1])
def test_the_layer_pads_as_flax_does(padding):
    import flax.linen as nn

    x = jax.random.normal(jax.random.key(0), (2, 7, 8, 3))
    ours, theirs = Conv(4, 3, stride=2, padding=padding), nn.Conv(4, (3, 3), strides=2, padding=padding)
    params = theirs.init(jax.random.key(1), x)
    assert jax.tree.map(jnp.shape, ours.init(jax.random.key(1), x)) == jax.tree.map(jnp.shape, params)
    np.testing.assert_allclose(ours.apply(params, x), theirs.apply(params, x), rtol=1e-4, atol=1e-5)


def test_layers_compute_in_half_precision_with_float32_params():
    x = jnp.ones((1, 4, 4, 2))
    for module, size in ((Conv(3, dtype=jnp.bfloat16), 4), (ConvTranspose(3, dtype=jnp.bfloat16), 8)):
        params = module.init(jax.random.key(0), x)
        y = module.apply(params, x)
        assert y.shape == (1, size, size, 3)
        assert y.dtype == jnp.bfloat16
        assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype("float32")}

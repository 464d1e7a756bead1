"""Fused convolutions and residual blocks, against their plain formulations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.layers.conv import Conv
from jaxgan.layers.resampling import box_downsample, box_upsample
from jaxgan.layers.residual import DownBlock, DownConv, UpBlock, UpConv

KEY = jax.random.key(0)
X = jax.random.normal(jax.random.key(1), (2, 4, 6, 3))


def plain(layer):
    """The same params in a plain 3x3 convolution of the doubled image, or halved after it."""
    conv = Conv(5)
    if isinstance(layer, UpConv):
        return lambda tree, x: conv.apply(tree, box_upsample(x))
    return lambda tree, x: box_downsample(conv.apply(tree, x))


@pytest.mark.parametrize("layer", [UpConv(5), DownConv(5)], ids=lambda layer: type(layer).__name__)
def test_fused_convolutions_equal_the_plain_ones_to_the_second_derivative(layer):
    tree = layer.init(KEY, X)
    tree["params"]["bias"] = jnp.arange(5.0)

    def derivatives(function):
        def loss(tree, x):
            return jnp.sin(function(tree, x)).sum()

        def penalty(tree, x):
            return jnp.square(jax.grad(loss, 1)(tree, x)).sum()

        return jax.jit(lambda: (function(tree, X), jax.grad(loss)(tree, X), jax.grad(penalty)(tree, X)))()

    assert jax.tree.map(jnp.shape, tree) == jax.tree.map(jnp.shape, Conv(5).init(KEY, X))
    ours, theirs = derivatives(layer.apply), derivatives(plain(layer))
    for mine, reference in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs)):
        np.testing.assert_allclose(mine, reference, rtol=1e-4, atol=1e-4 * np.abs(reference).max())


def convolved(params, x):
    kernel = params["kernel"]
    return Conv(kernel.shape[-1], kernel.shape[0]).apply({"params": params}, x)


def test_the_generators_block_is_the_published_one():
    block = UpBlock(5)
    tree = jax.jit(lambda: block.init(KEY, X, None, train=False))()
    params = tree["params"]
    y = jax.nn.relu(X / np.sqrt(1 + 1e-5))  # by the statistics at the start
    y = convolved(params["conv_0"], box_upsample(y))
    y = convolved(params["conv_1"], jax.nn.relu(y / np.sqrt(1 + 1e-5)))
    expected = y + convolved(params["shortcut"], box_upsample(X))
    np.testing.assert_allclose(block.apply(tree, X, None, train=False), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("first", [True, False])
def test_the_discriminators_block_is_the_published_one(first):
    block = DownBlock(5, first=first)
    tree = jax.jit(lambda: block.init(KEY, X, train=False))()
    params = tree["params"]
    y = convolved(params["conv_0"], X if first else jax.nn.relu(X))
    y = convolved(params["conv_1"], jax.nn.relu(y)) + convolved(params["shortcut"], X)
    np.testing.assert_allclose(block.apply(tree, X, train=False), box_downsample(y), rtol=1e-4, atol=1e-5)


def test_a_block_that_keeps_size_and_width_has_no_shortcut_to_learn():
    shapes = jax.eval_shape(lambda: DownBlock(3, hidden=7, halves=False).init(KEY, X, train=False))
    assert jax.tree.map(lambda leaf: leaf.shape, shapes["params"]) == {
        "conv_0": {"kernel": (3, 3, 3, 7), "bias": (7,)},
        "conv_1": {"kernel": (3, 3, 7, 3), "bias": (3,)},
    }

"""RRDB: blocks by their formulas, sizes, scales, ranges, its start, what a pixel sees."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from weighing import applied, drawn

from jaxgan.errors import UserError
from jaxgan.models import rrdb

KEY = jax.random.key(0)
CONDITION = jax.random.uniform(jax.random.key(1), (2, 6, 5, 3), minval=-1.0)
SMALL = {"blocks": 1, "base_width": 4, "growth": 3}


def shapes(network, size, channels):
    x = jax.ShapeDtypeStruct((2, *size, channels), jnp.float32)
    return jax.eval_shape(lambda x: network.init_with_output(KEY, x, train=False), x)


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_any_size_at_every_scale(scale):
    for size in ((1, 1), (7, 5)):
        image, _ = shapes(rrdb.Generator(1, scale, **SMALL), size, 2)
        assert image.shape == (2, size[0] * scale, size[1] * scale, 1)
        assert image.dtype == jnp.float32


@pytest.mark.parametrize("scale", [0, 3, 8])
def test_other_scales_are_refused(scale):
    with pytest.raises(UserError, match=f"rrdb: got scale {scale}, expected 1, 2 or 4"):
        shapes(rrdb.Generator(3, scale), (4, 4), 3)


def convolved(params, x):
    y = lax.conv_general_dilated(x, params["kernel"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return y + params["bias"]


def dense(params, x):
    """The formula of the paper: each layer reads x and all earlier outputs, concatenated."""
    seen = x
    for index in range(4):
        seen = jnp.concatenate([seen, jax.nn.leaky_relu(convolved(params[f"conv_{index}"], seen), 0.2)], -1)
    return x + 0.2 * convolved(params["conv_4"], seen)


def test_the_block_and_its_derivatives_are_the_papers():
    x = jax.random.normal(KEY, (2, 5, 4, 4))
    block = rrdb.Block(3, jnp.float32)
    params = drawn(block, x)["params"]

    def plain(params, x):
        y = x
        for index in range(3):
            y = dense(params[f"dense_{index}"], y)
        return x + 0.2 * y

    def derived(function):
        value = jax.value_and_grad(lambda *inputs: jnp.square(function(*inputs)).sum(), argnums=(0, 1))
        return jax.jit(lambda: (function(params, x), value(params, x)))()

    ours = derived(lambda params, x: block.apply({"params": params}, x))
    for mine, reference in zip(jax.tree.leaves(ours), jax.tree.leaves(derived(plain))):
        np.testing.assert_allclose(mine, reference, rtol=1e-4, atol=1e-5 * np.abs(reference).max())


def test_the_start_is_a_tenth_of_msra_in_dense_blocks():
    block = rrdb.DenseBlock(32, jnp.float32)
    params = jax.jit(lambda: block.init(KEY, jnp.zeros((1, 2, 2, 64))))()["params"]
    for index, inputs in enumerate((64, 96, 128, 160, 192)):
        kernel = params[f"conv_{index}"]["kernel"]
        assert float(kernel.std()) == pytest.approx(0.1 * np.sqrt(2 / (9 * inputs)), rel=0.03)
        assert not params[f"conv_{index}"]["bias"].any()


def test_the_start_keeps_the_signals_size():
    network = rrdb.Generator(3, blocks=1, base_width=8, growth=4)
    image = jax.jit(lambda: network.init_with_output(KEY, CONDITION, train=False)[0])()
    assert 0.1 < float(image.std()) < 3.0


def test_pixels_become_channels_in_pytorchs_order():
    x = np.arange(2 * 4 * 6 * 3, dtype=np.float32).reshape(2, 4, 6, 3)
    y = np.asarray(rrdb.pixels_to_channels(jnp.asarray(x), 2))
    assert y.shape == (2, 2, 3, 12)
    for row, column, channel, i, j in np.ndindex(2, 3, 3, 2, 2):
        np.testing.assert_array_equal(
            y[:, row, column, 4 * channel + 2 * i + j], x[:, 2 * row + i, 2 * column + j, channel]
        )


@pytest.mark.parametrize("scale", [1, 2])
def test_odd_sides_are_mirrored_and_cropped(scale):
    network = rrdb.Generator(3, scale, **SMALL)
    multiple = network.multiple
    x = CONDITION[:, :5, : multiple - 1]
    tree = drawn(network, x, train=False)
    below, beside = (-side % multiple for side in x.shape[1:3])
    assert below > 0
    assert beside > 0
    padded = np.pad(x, ((0, 0), (0, below), (0, beside), (0, 0)), mode="reflect")
    ours, whole = applied(network, tree, x), applied(network, tree, padded)
    assert ours.shape[1:3] == (scale * x.shape[1], scale * x.shape[2])
    np.testing.assert_allclose(ours, whole[:, : ours.shape[1], : ours.shape[2]], atol=1e-5)


def test_a_network_of_the_unit_range_works_between_0_and_1():
    inner, outer = (rrdb.Generator(3, unit_range=unit_range, **SMALL) for unit_range in (False, True))
    tree = drawn(inner, CONDITION, train=False)
    expected = 2 * applied(inner, tree, (CONDITION + 1) / 2) - 1
    np.testing.assert_allclose(applied(outer, tree, CONDITION), expected, atol=1e-5)


def test_bfloat16_is_computed_in_and_not_kept():
    network = rrdb.Generator(3, dtype=jnp.bfloat16, **SMALL)
    tree = drawn(network, CONDITION, train=False)
    made = shapes(network, (4, 4), 3)[1]
    assert {leaf.dtype for leaf in jax.tree.leaves(made)} == {jnp.dtype(jnp.float32)}
    image = applied(network, tree, CONDITION)
    exact = applied(rrdb.Generator(3, **SMALL), tree, CONDITION)
    assert image.dtype == jnp.float32
    assert 0 < float(jnp.abs(image - exact).max()) < 0.05 * float(jnp.abs(exact).max())


@pytest.mark.parametrize(("scale", "size"), [(4, 44), (2, 84)])
def test_a_pixel_sees_as_far_as_stated(scale, size, reach):
    network = rrdb.Generator(1, scale, blocks=1, base_width=2, growth=1)
    assert network.receptive_field == {4: 19, 2: 38}[scale]
    assert reach(network, size, 1, network.multiple) == network.receptive_field

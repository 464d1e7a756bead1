"""Layers along time against native convolutions in three dimensions, closed forms and their own work in pieces."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from layers.test_conv import convolutions, derivatives, relative

from jaxgan.errors import UserError
from jaxgan.layers.temporal import Conv2Plus1D, TimeConv, causal_shift, middle_width, shift, time_conv, with_past

KEYS = jax.random.split(jax.random.key(0), 3)
CLIPS = jax.random.normal(KEYS[0], (2, 5, 3, 2, 16))
LAYOUT = ("NDHWC", "DHWIO", "NDHWC")


def native(x, w, pads, stride=1):
    """In three dimensions, kernel `[t,h,w,i,o]`."""
    return lax.conv_general_dilated(x, w, (1, stride, stride), pads, dimension_numbers=LAYOUT)


def along_time(x, w, padding):
    return native(x, w[:, None, None], (padding, (0, 0), (0, 0)))


@pytest.mark.parametrize(("size", "padding", "features"), [(3, (1, 1), 3), (3, (2, 0), 16), (4, (0, 0), 3)])
def test_time_conv_equals_the_native_one_to_the_second_derivative(size, padding, features):
    w = jax.random.normal(KEYS[1], (size, 16, features))
    ours = jax.jit(lambda x, w: derivatives(lambda x, w: time_conv(x, w, padding), x, w))(CLIPS, w)
    theirs = jax.jit(lambda x, w: derivatives(lambda x, w: along_time(x, w, padding), x, w))(CLIPS, w)
    for mine, reference in zip(ours, theirs):
        assert relative(mine, reference) < 1e-5


@pytest.mark.quick
def test_the_matrix_product_is_made_on_cpu_only():
    w = jax.random.normal(KEYS[1], (3, 16, 16))
    gradient = jax.grad(lambda x, w: jnp.sin(time_conv(x, w, (1, 1))).sum(), (0, 1))
    assert [len(convolutions(gradient, CLIPS, w, platform=name)) for name in ("cuda", "tpu", "cpu")] == [3, 3, 0]


def test_time_conv_of_vectors_is_flax_s_convolution_of_sequences():
    sequence = jax.random.normal(KEYS[0], (2, 9, 4))
    for padding in ("SAME", "CAUSAL", "VALID"):
        for size in (1, 3, 4):
            theirs = nn.Conv(6, (size,), padding=padding)
            tree = theirs.init(KEYS[1], sequence)
            tree["params"]["bias"] = jnp.arange(6.0)
            ours = TimeConv(6, size, padding=padding)
            assert jax.tree.map(jnp.shape, ours.init(KEYS[1], sequence)) == jax.tree.map(jnp.shape, tree)
            np.testing.assert_allclose(ours.apply(tree, sequence), theirs.apply(tree, sequence), rtol=1e-4, atol=1e-5)


def test_half_precision_and_too_few_frames():
    module = TimeConv(3, padding="VALID", dtype=jnp.bfloat16)
    y, tree = module.init_with_output(KEYS[1], CLIPS)
    assert y.shape == (2, 3, 3, 2, 3)
    assert y.dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(tree)} == {jnp.dtype("float32")}
    with pytest.raises(UserError, match="got 2 frames, expected at least 3"):
        module.apply(tree, CLIPS[:, :2])


def test_2_plus_1_d_is_a_convolution_of_frames_and_one_along_time():
    module = Conv2Plus1D(8, stride=2, hidden=6)
    tree = module.init(KEYS[1], CLIPS)
    assert {name: sorted(params) for name, params in tree["params"].items()} == {
        name: ["bias", "kernel"] for name in ("space", "time")
    }
    tree["params"] = jax.tree.map(lambda each: each + 0.1, tree["params"])
    space, time = (tree["params"][name] for name in ("space", "time"))
    y = native(CLIPS, space["kernel"][None], ((0, 0), (1, 1), (0, 1)), stride=2) + space["bias"]
    expected = along_time(nn.relu(y), time["kernel"], (1, 1)) + time["bias"]
    np.testing.assert_allclose(module.apply(tree, CLIPS), expected, rtol=1e-4, atol=1e-4)
    causal = Conv2Plus1D(8, stride=2, hidden=6, time_padding="CAUSAL").apply
    np.testing.assert_allclose(causal(tree, CLIPS)[:, :3], causal(tree, CLIPS[:, :3]), rtol=1e-5, atol=1e-5)


@pytest.mark.quick
def test_the_width_between_space_and_time_keeps_the_params_of_three_dimensions():
    assert [middle_width(64, 64), middle_width(64, 128), middle_width(512, 512)] == [144, 230, 1152]  # torchvision's
    params = Conv2Plus1D(12).init(KEYS[1], CLIPS)["params"]
    count = params["space"]["kernel"].size + params["time"]["kernel"].size
    assert 0.95 < count / (27 * 16 * 12) <= 1


@pytest.mark.quick
def test_a_shift_by_its_definition():
    x = jnp.arange(1.0, 4.0)[None, :, None] * jnp.ones((1, 3, 8))  # frames 1, 2 and 3
    np.testing.assert_array_equal(shift(x)[0], [[2, 0, *[1] * 6], [3, 1, *[2] * 6], [0, 2, *[3] * 6]])
    np.testing.assert_array_equal(shift(x, parts=4)[0, 1], [3, 3, 1, 1, 2, 2, 2, 2])
    y, past = causal_shift(x)
    np.testing.assert_array_equal(y[0], [[0, *[1] * 7], [1, *[2] * 7], [2, *[3] * 7]])
    np.testing.assert_array_equal(past, [[[3]]])
    assert shift(CLIPS[:, :1]).shape == (2, 1, 3, 2, 16)


@pytest.mark.parametrize("pieces", [(1, 1, 1, 1, 1), (2, 3)])
def test_a_film_in_pieces_is_the_film_as_a_whole(pieces):
    size = 4
    tree = TimeConv(3, size).init(KEYS[1], CLIPS)
    expected = (causal_shift(CLIPS)[0], TimeConv(3, size, padding="CAUSAL").apply(tree, CLIPS))
    shifted, convolved, seen, earlier = [], [], None, None
    for piece in jnp.split(CLIPS, np.cumsum(pieces)[:-1], axis=1):
        y, seen = causal_shift(piece, seen)
        whole, earlier = with_past(piece, earlier, size - 1)
        shifted.append(y)
        convolved.append(TimeConv(3, size, padding="VALID").apply(tree, whole))
    for pieced, whole in zip((shifted, convolved), expected):
        np.testing.assert_allclose(jnp.concatenate(pieced, axis=1), whole, rtol=1e-5, atol=1e-5)

"""LaMa's network: the published size, images of any size, a view of the whole image."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.errors import UserError
from jaxgan.models import ffc

KEY = jax.random.key(0, impl="unsafe_rbg")  # its normal numbers compile in a seventh of the time
CONDITION = jax.random.uniform(jax.random.key(1), (2, 16, 24, 4), minval=-1.0)
SMALL = {"base_width": 2, "blocks": 1}


@pytest.fixture(scope="module")
def made():
    """A small network, its variables and its jitted application."""
    network = ffc.Generator(3, **SMALL)
    tree = jax.jit(lambda: network.init(KEY, CONDITION, train=False))()
    return network, tree, jax.jit(lambda x: network.apply(tree, x, train=False))


def test_the_published_network_has_27_million_parameters():
    condition = jax.ShapeDtypeStruct((1, 256, 256, 4), jnp.float32)
    image, tree = jax.eval_shape(lambda x: ffc.Generator(3).init_with_output(KEY, x, train=False), condition)
    assert image.shape == (1, 256, 256, 3)
    ends = 49 * 4 * 64 + 49 * 64 * 3 + 3
    down = sum(9 * width * 2 * width for width in (64, 128, 256))
    norms = 2 * (64 + 128 + 256 + 512 + 256 + 128 + 64)
    local, wide, half = 128, 384, 192
    convolutions = 9 * (local * (local + wide) + wide * local)
    spectral = wide * half + 2 * half + (2 * half) ** 2 + 4 * half + half * wide
    blocks = 9 * 2 * (convolutions + spectral + 2 * 512)
    assert sum(leaf.size for leaf in jax.tree.leaves(tree["params"])) == ends + 2 * down + norms + blocks == 27_048_387


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (13, 22)])
def test_any_size(size):
    condition = jax.ShapeDtypeStruct((2, *size, 4), jnp.float32)
    network = ffc.Generator(3, **SMALL)
    image, _ = jax.eval_shape(lambda x: network.init_with_output(KEY, x, train=False), condition)
    assert (image.shape, image.dtype) == ((2, *size, 3), jnp.float32)


def test_every_pixel_sees_the_whole_image(made):
    network, tree, apply = made
    assert network.receptive_field is None
    gradient = jax.jit(jax.grad(lambda x: network.apply(tree, x, train=False)[0, 2, 3].sum()))(CONDITION)
    assert np.asarray(gradient[0]).any(axis=-1).mean() > 0.9
    assert not np.any(gradient[1])
    assert np.abs(apply(CONDITION)).max() < 1


def test_statistics_move_in_training(made):
    network, tree, _ = made
    train = jax.jit(lambda x: network.apply(tree, x, train=True, mutable=["batch_stats"])[1])
    changed = jax.tree.map(lambda a, b: bool((a != b).any()), tree, {**tree, **train(CONDITION)})
    assert all(jax.tree.leaves(changed["batch_stats"]))


def test_a_ratio_without_local_channels_is_refused():
    with pytest.raises(UserError, match=r"got ratio 1.0 of 16 and 16 channels"):
        jax.eval_shape(lambda: ffc.Generator(3, ratio=1.0, **SMALL).init(KEY, CONDITION, train=False))

"""The parameter tree of RRDB, and how many numbers the published networks have."""

import math

import jax
import jax.numpy as jnp
import pytest

from jaxgan.models import rrdb


def tree_of(network, channels=3):
    image = jnp.zeros((2, 8, 8, channels))
    shapes = jax.eval_shape(lambda: network.init(jax.random.key(0), image, train=False))
    flat = jax.tree_util.tree_leaves_with_path(shapes)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf.shape for path, leaf in flat}


def layer(name, inputs, outputs):
    return {f"params/{name}/kernel": (3, 3, inputs, outputs), f"params/{name}/bias": (outputs,)}


@pytest.mark.parametrize(("scale", "inputs"), [(4, 2), (2, 8), (1, 32)])
def test_rrdb(scale, inputs):
    expected = layer("stem", inputs, 6) | layer("leave", 6, 6) | layer("refine", 6, 6) | layer("image", 6, 3)
    expected |= layer("up_0", 6, 6) | layer("up_1", 6, 6)
    for block in range(2):
        for dense in range(3):
            for index, outputs in enumerate((4, 4, 4, 4, 6)):
                expected |= layer(f"block_{block}/dense_{dense}/conv_{index}", 6 + 4 * index, outputs)
    assert tree_of(rrdb.Generator(3, scale, blocks=2, base_width=6, growth=4), 2) == expected


def test_the_published_network_has_the_parameters_of_its_description():
    dense = 9 * (32 * (64 + 96 + 128 + 160) + 64 * 192) + 4 * 32 + 64
    others = 9 * (3 * 64 + 4 * 64 * 64 + 64 * 3) + 5 * 64 + 3
    assert sum(map(math.prod, tree_of(rrdb.Generator(3)).values())) == 69 * dense + others == 16_697_987

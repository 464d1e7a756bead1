"""Features propagated through clips: which frames a frame depends on, the initial output, and invalid options."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.errors import UserError
from jaxgan.images.resizing import resize
from jaxgan.models.propagation import Grid
from jaxgan.models.spynet import SPyNet

KEY = jax.random.key(0, impl="unsafe_rbg")
CLIP = jax.random.uniform(jax.random.key(1), (1, 4, 6, 8, 3), minval=-1.0)
SMALL = {"flow": SPyNet(levels=2, widths=(4,)), "scale": 2, "base_width": 4, "blocks": 1, "passes": 1, "groups": 2}


def random_tree(network):
    """Random weights, including those that are initialised to zero."""
    shapes = jax.eval_shape(lambda: network.init(KEY, CLIP, train=False))
    leaves, structure = jax.tree.flatten(shapes)
    keys = jax.random.split(jax.random.key(3, impl="unsafe_rbg"), len(leaves))
    return jax.tree.unflatten(structure, [0.3 * jax.random.normal(k, x.shape) for k, x in zip(keys, leaves)])


def test_it_begins_as_a_bilinear_enlargement():
    network = Grid(3, **SMALL)
    tree = jax.jit(lambda: network.init(KEY, CLIP, train=False))()
    made = jax.jit(lambda clip: network.apply(tree, clip, train=False))(CLIP)
    expected = resize(CLIP[0], 12, 16, method="bilinear")
    np.testing.assert_allclose(made[0], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "seen"),
    [
        ({}, [True, True, True, True]),
        pytest.param({"bidirectional": False, "align": "flow"}, [True, True, True, False], marks=pytest.mark.slow),
        pytest.param({"passes": 2, "second_order": False}, [True, True, True, True], marks=pytest.mark.slow),
    ],
)
def test_a_frame_sees_all_others_or_those_before(options, seen):
    network = Grid(3, **{**SMALL, **options})
    tree = random_tree(network)
    slopes = jax.jit(jax.grad(lambda clip: network.apply(tree, clip, train=True)[:, 2].sum()))(CLIP)
    assert list(np.abs(slopes).max(axis=(0, 2, 3, 4)) > 0) == seen
    assert np.isfinite(slopes).all()


@pytest.mark.slow
def test_a_still_clip_of_one_frame_is_its_own_features_alone():
    network = Grid(3, **SMALL)
    tree = random_tree(network)
    whole = network.apply(tree, CLIP[:, :1], train=False)
    changed = jax.tree_util.tree_map_with_path(
        lambda path, x: 0 * x if "aligned" in jax.tree_util.keystr(path) else x, tree
    )
    np.testing.assert_array_equal(whole, network.apply(changed, CLIP[:, :1], train=False))


class Known(nn.Module):
    """Flow to the right by the difference in brightness between the other frame and this one."""

    def __call__(self, frame, other):
        brighter = (other - frame).mean(axis=(1, 2, 3)).reshape(-1, 1, 1, 1)
        return brighter * jnp.array([1.0, 0.0]) * jnp.ones((*frame.shape[:3], 1))


def test_flow_leads_to_where_features_come_from():
    clip = jnp.zeros((1, 4, 6, 8, 3)) + jnp.array([0.0, 1.0, 3.0, 7.0]).reshape(1, -1, 1, 1, 1)
    network = Grid(3, **{**SMALL, "flow": Known()})
    before, after = network.apply({}, clip, method="_flows")
    assert before[0, :, 0, 0, 0].tolist() == [0, -1, -2, -4]
    assert after[0, :, 0, 0, 0].tolist() == [1, 2, 4, 0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scale": 3}, "got scale 3, expected 1, 2 or 4"),
        ({"groups": 3}, "got groups 3, expected an even divisor of base_width 4"),
        ({"groups": 1}, "got groups 1, expected an even divisor"),
    ],
)
def test_invalid_options_are_refused(options, words):
    with pytest.raises(UserError, match=words):
        jax.eval_shape(lambda: Grid(3, **{**SMALL, **options}).init(KEY, CLIP, train=False))

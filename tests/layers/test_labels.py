"""Labels, mixtures of classes and vectors as vectors."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.errors import UserError
from jaxgan.layers.labels import Embedding, projection, taken


@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_an_embedding_has_its_variance_and_looks_rows_up(scale):
    module, label = Embedding(10, 2000, scale=scale), jnp.array([7, 0, 7])
    tree = module.init(jax.random.key(0), label)
    table = np.asarray(tree["params"]["table"]["embedding"])
    assert table.std() == pytest.approx(scale, rel=0.03)
    np.testing.assert_array_equal(module.apply(tree, label), table[[7, 0, 7]])


def test_projection_is_the_inner_product_in_float32():
    features, embedded = jax.random.normal(jax.random.key(0), (2, 3, 5))
    np.testing.assert_allclose(projection(features, embedded), np.diag(features @ embedded.T), rtol=1e-5, atol=1e-6)
    half = projection(features.astype(jnp.bfloat16), embedded.astype(jnp.bfloat16))
    assert half.dtype == jnp.float32


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_a_one_hot_mixture_is_its_class_exactly_and_others_are_weighted_sums(dtype):
    module, label = Embedding(10, 64, dtype=dtype), jnp.array([7, 0, 9])
    tree = module.init(jax.random.key(0), label)
    mixed = module.apply(tree, jax.nn.one_hot(label, 10))
    assert mixed.dtype == dtype
    np.testing.assert_array_equal(mixed, module.apply(tree, label))
    shares = jnp.array([[0.25, 0, 0.75] + 7 * [0.0]])
    table = np.asarray(tree["params"]["table"]["embedding"])
    rounding = 1e-6 if dtype == jnp.float32 else 1e-2
    np.testing.assert_allclose(
        np.asarray(module.apply(tree, shares)[0], np.float32), 0.25 * table[0] + 0.75 * table[2], rounding, rounding
    )
    assert jax.tree.map(jnp.shape, module.init(jax.random.key(0), shares)) == jax.tree.map(jnp.shape, tree)


@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_an_embedding_of_vectors_is_a_linear_map_that_keeps_their_variance(scale):
    module, vectors = Embedding(0, 300, scale=scale, condition_dim=200), jax.random.normal(jax.random.key(1), (50, 200))
    tree = module.init(jax.random.key(0), vectors)
    table = np.asarray(tree["params"]["table"]["embedding"])
    assert table.shape == (200, 300)
    embedded = module.apply(tree, vectors)
    np.testing.assert_allclose(embedded, np.asarray(vectors) @ table, rtol=1e-3, atol=1e-4)
    assert np.std(embedded) == pytest.approx(scale, rel=0.05)


def network(num_classes=0, condition_dim=0):
    return types.SimpleNamespace(num_classes=num_classes, condition_dim=condition_dim)


@pytest.mark.quick
def test_a_network_takes_what_its_fields_say():
    label, shares, vectors = jnp.zeros(4, jnp.int32), jnp.ones((4, 10)) / 10, jnp.ones((4, 6))
    assert taken(network(), label) is None
    assert taken(network(10), label) is label
    assert taken(network(10), shares) is shares
    assert taken(network(0, 6), vectors) is vectors
    assert taken(network(10), None, needed=False) is None


@pytest.mark.quick
@pytest.mark.parametrize(
    ("fields", "condition", "words"),
    [
        (
            {"num_classes": 10},
            None,
            r"got no condition, expected labels \[B\] of integers or shares \[B,10\] of floats",
        ),
        ({"num_classes": 10}, np.zeros(4, np.float32), r"shape \(4,\) of float32, expected labels"),
        ({"num_classes": 10}, np.zeros((4, 9), np.float32), r"shape \(4, 9\) of float32, expected .* shares \[B,10\]"),
        ({"num_classes": 10}, np.zeros((4, 10), np.int32), r"shape \(4, 10\) of int32, expected"),
        ({"condition_dim": 6}, np.zeros(4, np.int32), r"shape \(4,\) of int32, expected vectors \[B,6\] of floats"),
        ({"condition_dim": 6}, np.zeros((4, 6), np.int32), r"shape \(4, 6\) of int32, expected vectors"),
        (
            {"condition_dim": 6, "num_classes": 10},
            np.zeros(4, np.int32),
            r"num_classes 10 and condition_dim 6, expected",
        ),
    ],
)
def test_another_condition_is_one_line(fields, condition, words):
    with pytest.raises(UserError, match=words):
        taken(network(**fields), condition)

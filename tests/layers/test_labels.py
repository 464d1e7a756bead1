"""Labels as vectors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.layers.labels import Embedding, projection


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

"""Random weights for tests of networks, and the comparison of two imports of a file."""

import jax
import jax.numpy as jnp
import numpy as np

KEY = jax.random.key(0)


def drawn(network, x, **options):
    """Weights that keep the variance of the signal; none are zero or equal, so that no error stays hidden."""
    random = np.random.default_rng(0)
    tree = jax.eval_shape(lambda: network.init(KEY, x, **options))
    return jax.tree.map(
        lambda leaf: jnp.asarray(
            random.normal(size=leaf.shape) / max(1, leaf.size // leaf.shape[-1]) ** 0.5, jnp.float32
        ),
        tree,
    )


def applied(network, tree, x):
    return jax.jit(lambda tree, x: network.apply(tree, x, train=False))(tree, x)


def same(ours, theirs):
    assert ours.section == theirs.section
    assert jax.tree.structure(ours.params) == jax.tree.structure(theirs.params)
    for mine, reference in zip(jax.tree.leaves(ours.params), jax.tree.leaves(theirs.params)):
        np.testing.assert_array_equal(mine, reference)

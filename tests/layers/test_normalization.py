"""Batch norm and the reductions it is made of, against flax and numpy."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.layers.minibatch_stddev import minibatch_stddev
from jaxgan.layers.normalization import BatchNorm
from jaxgan.layers.reduction import row_mean, row_sum, spread

X = 2.0 * jax.random.normal(jax.random.key(0), (4, 3, 5, 6)) + 1.0


def close(a, b, rtol=1e-4, atol=1e-5):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=rtol, atol=atol), a, b)


def test_batch_norm_equals_flax_to_the_second_derivative():
    ours, theirs = BatchNorm(), nn.BatchNorm(momentum=0.9, epsilon=1e-5)
    tree = theirs.init(jax.random.key(0), X, use_running_average=False)
    keys = jax.random.split(jax.random.key(1), 2)
    tree = {
        **tree,
        "params": {"scale": jax.random.normal(keys[0], (6,)), "bias": jax.random.normal(keys[1], (6,))},
    }

    def apply_ours(params, x, train):
        return ours.apply({**tree, "params": params}, x, train=train, mutable=["batch_stats"])

    def apply_theirs(params, x, train):
        return theirs.apply({**tree, "params": params}, x, use_running_average=not train, mutable=["batch_stats"])

    def everything(apply):
        def loss(params, x):
            return jnp.sin(apply(params, x, True)[0]).sum()

        def penalty(params, x):
            return jnp.square(jax.grad(loss, 1)(params, x)).sum()

        params = tree["params"]
        return (
            apply(params, X, True),
            apply(params, X, False),
            jax.grad(loss, (0, 1))(params, X),
            jax.grad(penalty, (0, 1))(params, X),
        )

    close(everything(apply_ours), everything(apply_theirs), rtol=1e-3, atol=1e-3)


def test_statistics_are_float32_in_a_half_precision_network():
    module = BatchNorm(dtype=jnp.bfloat16)
    x = (1e3 + X).astype(jnp.bfloat16)
    tree = module.init(jax.random.key(0), x, train=True)
    y, updates = module.apply(tree, x, train=True, mutable=["batch_stats"])
    assert y.dtype == jnp.bfloat16
    assert updates["batch_stats"]["mean"].dtype == jnp.float32
    assert np.isfinite(np.asarray(y, np.float32)).all()


def test_a_frozen_forward_writes_nothing():
    module = BatchNorm()
    tree = module.init(jax.random.key(0), X, train=True)
    close(tree["batch_stats"], {"mean": jnp.zeros(6), "var": jnp.ones(6)}, atol=0)
    y, updates = module.apply(tree, X, train=True, mutable=[])
    assert not updates
    close(row_mean(y), jnp.zeros(6))


@pytest.mark.quick
def test_row_sum_and_spread_are_each_others_derivative():
    vector = jnp.arange(6.0)
    close(row_sum(X), X.sum((0, 1, 2)), atol=1e-3)
    close(jax.grad(lambda x: (row_sum(x) * vector).sum())(X), jnp.broadcast_to(vector, X.shape))
    close(jax.grad(lambda v: (spread(v, X.shape) * X).sum())(vector), X.sum((0, 1, 2)), atol=1e-3)


def test_minibatch_stddev_of_known_groups():
    values = np.repeat([0.0, 2.0, 5.0, 5.0], 8).reshape(4, 2, 2, 2)
    y = minibatch_stddev(jnp.asarray(values), group_size=2)
    assert y.shape == (4, 2, 2, 3)
    close(y[..., :2], values)
    close(y[:, 0, 0, 2], np.array([1.0, 1.0, 1e-4, 1e-4]))
    assert minibatch_stddev(jnp.ones((3, 2, 2, 1)), group_size=2).shape == (3, 2, 2, 2)
    gradient = jax.grad(lambda x: minibatch_stddev(x).sum())(jnp.ones((4, 2, 2, 1)))
    assert np.isfinite(gradient).all()

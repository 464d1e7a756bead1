"""Batch norm, plain and conditional, and the reductions it is made of, against flax and numpy."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.layers.minibatch_stddev import minibatch_stddev
from jaxgan.layers.normalization import BatchNorm, ConditionalBatchNorm
from jaxgan.layers.reduction import row_mean, row_sum, spread

X = 2.0 * jax.random.normal(jax.random.key(0), (4, 3, 5, 6)) + 1.0


def close(a, b, rtol=1e-4, atol=1e-5):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=rtol, atol=atol), a, b)


def test_batch_norm_equals_flax_to_the_second_derivative():
    own, other = BatchNorm(), nn.BatchNorm(momentum=0.9, epsilon=1e-5)
    tree = other.init(jax.random.key(0), X, use_running_average=False)
    keys = jax.random.split(jax.random.key(1), 2)
    tree = {
        **tree,
        "params": {"scale": jax.random.normal(keys[0], (6,)), "bias": jax.random.normal(keys[1], (6,))},
    }

    def apply_ours(params, x, train):
        return own.apply({**tree, "params": params}, x, train=train, mutable=["batch_stats"])

    def apply_theirs(params, x, train):
        return other.apply({**tree, "params": params}, x, use_running_average=not train, mutable=["batch_stats"])

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

    ours, theirs = (jax.jit(lambda apply=apply: everything(apply))() for apply in (apply_ours, apply_theirs))
    close(ours, theirs, rtol=1e-3, atol=1e-3)


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


def conditional(condition, **fields):
    """A conditional norm with gains and biases that are not those of the start."""
    module = ConditionalBatchNorm(**fields)
    tree = module.init(jax.random.key(0), X, condition, train=False)
    leaves, shape = jax.tree.flatten(tree["params"])
    keys = jax.random.split(jax.random.key(1), len(leaves))
    params = jax.tree.unflatten(shape, [jax.random.normal(key, leaf.shape) for key, leaf in zip(keys, leaves)])
    return module, {**tree, "params": params}


@pytest.mark.parametrize("by_label", [True, False])
def test_conditional_batch_norm_by_its_definition(by_label):
    label, vector = jnp.array([2, 0, 1, 2]), jax.random.normal(jax.random.key(2), (4, 5))
    module, tree = conditional(label if by_label else vector, num_classes=3 if by_label else 0)
    params = tree["params"]
    if by_label:
        gain, bias = (np.asarray(params[name]["embedding"])[label] for name in ("scale", "bias"))
    else:
        gain, bias = (np.asarray(vector) @ np.asarray(params[name]["kernel"]) for name in ("scale", "bias"))
    x = np.asarray(X, np.float64)
    mean, var = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))
    expected = (x - mean) / np.sqrt(var + 1e-5) * (1 + gain[:, None, None]) + bias[:, None, None]
    condition = label if by_label else vector
    y, updates = module.apply(tree, X, condition, train=True, mutable=["batch_stats"])
    close(y, expected, rtol=1e-4, atol=1e-4)
    close(updates["batch_stats"], {"mean": 0.1 * mean, "var": 0.9 + 0.1 * var})
    kept = module.apply(tree, X, condition, train=False)
    close(kept, x / np.sqrt(1 + 1e-5) * (1 + gain[:, None, None]) + bias[:, None, None], atol=1e-4)


def test_conditional_batch_norm_starts_as_the_plain_one_for_every_class():
    label = jnp.array([2, 0, 1, 2])
    y, _ = ConditionalBatchNorm(3).init_with_output(jax.random.key(0), X, label, train=True)
    plain, _ = BatchNorm().init_with_output(jax.random.key(0), X, train=True)
    close(y, plain)


def test_mixtures_of_classes_have_mixed_gains_and_biases():
    label = jnp.array([2, 0, 1, 2])
    module, tree = conditional(label, num_classes=3)
    np.testing.assert_array_equal(
        module.apply(tree, X, jax.nn.one_hot(label, 3), train=False), module.apply(tree, X, label, train=False)
    )
    shares = jnp.tile(jnp.array([[0.5, 0.0, 0.5]]), (4, 1))
    first, last = (module.apply(tree, X, jnp.full(4, each), train=False) for each in (0, 2))
    close(module.apply(tree, X, shares, train=False), (first + last) / 2)


def test_gains_of_a_conditional_batch_norm_learn_from_their_own_examples():
    label = jnp.array([2, 0, 0, 2])
    module, tree = conditional(label, num_classes=3)

    def loss(params):
        y, _ = module.apply({**tree, "params": params}, X, label, train=True, mutable=[])
        return jnp.sin(y).sum()

    gradient = jax.grad(loss)(tree["params"])
    for leaf in (gradient["scale"]["embedding"], gradient["bias"]["embedding"]):
        assert not np.any(leaf[1])
        assert np.all(np.any(leaf[jnp.array([0, 2])], axis=1))


def test_the_linear_maps_of_a_condition_can_be_spectrally_normed():
    vector = jax.random.normal(jax.random.key(2), (4, 5))
    _, tree = conditional(vector, spectral=True)
    assert set(tree["spectral"]) == {"scale_norm", "bias_norm"}
    assert set(tree["params"]["scale"]) == {"kernel"}

"""The axis of `pmap`: what reduces over the batch gives one value on one device and on many."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.layers.collective import all_rows, axis, axis_name, own_rows, pmean
from jaxgan.layers.minibatch_stddev import minibatch_stddev
from jaxgan.layers.normalization import BatchNorm
from jaxgan.regularizers.diversity import mode_seeking
from jaxgan.regularizers.gradient_penalty import dragan

DEVICES = 2


def close(ours, reference):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), ours, reference)


def on_devices(function, *arrays):
    """`function` of each device's rows, which follow each other; `vmap` stands in for `pmap`."""

    def named(*rows):
        with axis("data"):
            return function(*rows)

    split = [array.reshape(DEVICES, -1, *array.shape[1:]) for array in arrays]
    return jax.jit(jax.vmap(named, axis_name="data"))(*split)


@pytest.mark.quick
def test_the_axis_holds_inside_its_block_only():
    assert axis_name() is None
    with axis("data"):
        assert axis_name() == "data"
        with axis(None):
            assert axis_name() is None
        assert axis_name() == "data"
    assert axis_name() is None


@pytest.mark.quick
def test_the_axis_ends_with_a_block_that_fails():
    with pytest.raises(KeyError), axis("data"):
        raise KeyError
    assert axis_name() is None


@pytest.mark.quick
def test_pmean_is_the_mean_over_devices_and_nothing_without_an_axis():
    tree = {"a": jnp.array([1.0, 5.0])}
    assert pmean(tree) is tree
    close(on_devices(pmean, tree["a"]), jnp.full((2, 1), 3.0))


@pytest.mark.quick
def test_the_rows_of_all_devices_and_back():
    x = jnp.arange(12.0).reshape(6, 2)
    assert all_rows(x) is x
    assert own_rows(x) is x
    whole, own = on_devices(lambda rows: (all_rows(rows), own_rows(2 * all_rows(rows))), x)
    close(whole, jnp.stack([x] * DEVICES))
    close(own.reshape(x.shape), 2 * x)


def test_mode_seeking_averages_its_ratios_over_all_devices():
    latent = jax.random.normal(jax.random.key(0), (6, 4))
    gains = jnp.arange(1.0, 7.0)[:, None, None, None]  # of each row's generator: the ratio of its distances

    def penalty(latent, gains):
        generate = lambda latent: gains * latent.reshape(-1, 2, 2, 1)  # noqa: E731
        return mode_seeking(generate, latent, generate(latent), jax.random.key(1))

    close(on_devices(penalty, latent, gains), jnp.full(DEVICES, 1 / 3.5))


def test_dragan_spreads_by_the_deviation_over_all_devices():
    sign = jnp.repeat(jnp.array([1.0, -1.0]), 256)  # one on each of the devices, which then has no deviation of its own
    real = sign[:, None, None, None] * jnp.ones((512, 8, 8, 3))
    critic = lambda x: 0.5 * jnp.square(x).sum((1, 2, 3))  # noqa: E731  its gradient is x
    values = on_devices(lambda rows: dragan(critic, rows, rows, jax.random.key(0), weight=1.0), real)
    # x = +-1 + a u / 2 with the share a of each image and the noise u of each number uniform in [0, 1]
    squares = np.square(1 + np.sqrt(values)).reshape(2, 256).mean(axis=1) / real[0].size
    np.testing.assert_allclose(squares, [1 + 1 / 4 + 1 / 36, 1 - 1 / 4 + 1 / 36], rtol=0.05)


def test_batch_norm_is_synchronised():
    x = jax.random.normal(jax.random.key(0), (6, 2, 2, 3)) * jnp.arange(1.0, 7.0)[:, None, None, None]
    module = BatchNorm()
    tree = module.init(jax.random.key(1), x, train=True)

    def forward(rows):
        y, updates = module.apply(tree, rows, train=True, mutable=["batch_stats"])
        return y, updates["batch_stats"]

    (y, statistics), (reference, kept) = on_devices(forward, x), jax.jit(forward)(x)
    close(y.reshape(x.shape), reference)
    close(statistics, jax.tree.map(lambda leaf: jnp.stack([leaf] * DEVICES), kept))


@pytest.mark.parametrize(("batch", "group_size"), [(8, 4), (10, 5), (10, 4), (6, 6)])
def test_minibatch_stddev_sees_the_same_groups_on_many_devices(batch, group_size):
    x = jax.random.normal(jax.random.key(0), (batch, 2, 2, 3))
    weight = jax.random.normal(jax.random.key(1), (batch, 2, 2, 4))

    def loss(scale, rows, weight):
        y = minibatch_stddev(rows * scale, group_size=group_size)
        return (y * weight).mean(), y

    def gradient(*arguments):
        found, y = jax.grad(loss, has_aux=True)(jnp.ones(3), *arguments)
        return pmean(found), y

    (ours, y), (theirs, reference) = on_devices(gradient, x, weight), jax.jit(gradient)(x, weight)
    close(y.reshape(reference.shape), reference)
    close(ours, jnp.stack([theirs] * DEVICES))

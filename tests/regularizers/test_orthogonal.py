"""Orthogonality of kernels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.regularizers.orthogonal import orthogonal

KERNEL = jax.random.normal(jax.random.key(0), (3, 3, 4, 5))


def test_it_sums_the_squared_products_of_different_columns():
    columns = np.asarray(KERNEL, np.float64).reshape(36, 5)
    products = columns.T @ columns
    expected = (products**2).sum() - (np.diag(products) ** 2).sum()
    params = {"conv": {"kernel": KERNEL, "bias": jnp.ones(5)}, "dense": {"kernel": 2.0 * KERNEL.reshape(36, 5)}}
    np.testing.assert_allclose(orthogonal(params, weight=0.1), 0.1 * 17 * expected, rtol=1e-5)


@pytest.mark.quick
def test_columns_at_right_angles_pay_nothing_whatever_their_lengths():
    q = jnp.linalg.qr(KERNEL.reshape(36, 5))[0]
    assert orthogonal({"kernel": q * jnp.arange(5)}, weight=1.0) < 1e-8


@pytest.mark.quick
def test_embeddings_scales_and_biases_are_left_alone():
    params = {"table": {"embedding": KERNEL.reshape(36, 5)}, "norm": {"scale": jnp.ones(5), "kernel": jnp.ones(5)}}
    assert orthogonal(params) == 0.0


def test_the_paths_of_a_real_network_are_found():
    from jaxgan.models.dcgan import Generator

    network = Generator(resolution=8, channels=1, widths=(4,))
    params = network.init(jax.random.key(0), jnp.zeros((1, 100)), None, train=False)["params"]
    kernels = [leaf for leaf in jax.tree.leaves(params) if leaf.ndim > 1]
    alone = sum(orthogonal({"kernel": kernel}) for kernel in kernels)
    np.testing.assert_allclose(orthogonal(params), alone, rtol=1e-5)
    assert alone > 0

"""Orthogonality of kernels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.layers.conv import transposed_kernels
from jaxgan.losses import adversarial
from jaxgan.models import dcgan
from jaxgan.regularizers.orthogonal import orthogonal
from jaxgan.tasks.adversary import Adversary
from jaxgan.tasks.generation import Generation
from jaxgan.tasks.penalty import Penalty
from jaxgan.training.optimizers import make_optimizer
from jaxgan.training.state import init_state

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


def of_columns(matrix):
    products = matrix.T @ matrix
    return float((products**2).sum() - (np.diag(products) ** 2).sum())


def test_a_transposed_kernel_has_its_output_features_on_the_axis_before_the_last():
    q = jnp.linalg.qr(KERNEL.reshape(36, 5))[0].reshape(3, 3, 4, 5)
    params = {"up": {"kernel": q.swapaxes(2, 3)}}
    assert orthogonal(params, transposed=[("up",)], weight=1.0) < 1e-8
    assert orthogonal(params, weight=1.0) > 1e-2


def test_transposed_kernels_are_found_each_time_that_they_are_asked_for():
    generator, latent = dcgan.Generator(8, 1, widths=(4,)), jnp.zeros((2, 3))
    tree = generator.init(jax.random.key(0), latent, train=False)
    forward = lambda latent: generator.apply(tree, latent, train=False)  # noqa: E731
    assert transposed_kernels(forward, latent) == transposed_kernels(forward, latent) == {("up_0",)}


def test_a_task_tells_it_which_kernels_are_transposed():
    """The penalty of a DCGAN's generator in its turn is that of numpy, by output features."""
    widths, batch = (4, 6), {"image": jnp.zeros((2, 16, 16, 1))}
    penalty = Penalty("orthogonal", orthogonal, {"weight": 0.1})
    task = Generation(
        dcgan.Generator(16, 1, widths=widths),
        Adversary(dcgan.Discriminator(16, widths=widths), adversarial.hinge, penalties=(penalty,)),
        latent_dim=3,
        generator_penalties=(penalty,),
    )
    optimizers = dict.fromkeys(task.players, make_optimizer({"name": "sgd", "learning_rate": 0.01}))
    state = init_state(task, optimizers, jax.random.key(0), batch)
    batch |= {"fakes": task.draw(task.phases()[0], state, batch, jax.random.key(1))[0]}
    _, aux = jax.jit(task.phases()[1].loss)(state, batch, jax.random.key(2))
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), state.params["generator"])
    columns = [params["stem"]["kernel"]] + [
        params[f"up_{index}"]["kernel"].swapaxes(2, 3).reshape(-1, features) for index, features in enumerate((6, 1))
    ]
    assert params["up_0"]["kernel"].shape == (4, 4, 6, 4)  # from 4 to 6 channels
    np.testing.assert_allclose(aux.metrics["orthogonal"], 0.1 * sum(map(of_columns, columns)), rtol=1e-4)

    _, aux = jax.jit(task.phases()[0].loss)(state, batch, jax.random.key(2))
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), state.params["discriminator"])
    columns = [layer["kernel"].reshape(-1, layer["kernel"].shape[-1]) for layer in params.values() if "kernel" in layer]
    np.testing.assert_allclose(aux.metrics["orthogonal"], 0.1 * sum(map(of_columns, columns)), rtol=1e-4)

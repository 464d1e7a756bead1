"""Spectral norm of every kind of layer, against numpy's singular values."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.layers.conv import Conv, ConvTranspose
from jaxgan.layers.labels import Embedding
from jaxgan.layers.spectral import spectral_norm

KEY = jax.random.key(0)
IMAGE = jax.random.normal(jax.random.key(1), (2, 4, 4, 3))


class Wrapped(nn.Module):
    """One layer with the norm."""

    kind: str
    wanted: bool = True

    @nn.compact
    def __call__(self, x, *, train):
        layers = {
            "conv": lambda: Conv(5, 3, name="layer"),
            "transposed": lambda: ConvTranspose(5, 3, name="layer"),
            "pointwise": lambda: Conv(5, 1, use_bias=False, name="layer"),
            "dense": lambda: nn.Dense(4, name="layer"),
            "embedding": lambda: Embedding(6, 4, name="layer"),
        }
        return spectral_norm(layers[self.kind](), x, train=train, wanted=self.wanted)


def matrix(params, kind):
    leaf = next(leaf for leaf in jax.tree.leaves(params) if leaf.ndim > 1)
    leaf = leaf.swapaxes(2, 3) if kind == "transposed" else leaf  # output features last
    return np.asarray(leaf).reshape(-1, leaf.shape[-1])


INPUTS = {
    "conv": IMAGE,
    "transposed": IMAGE,
    "pointwise": IMAGE,
    "dense": IMAGE[:, 0, 0],
    "embedding": jnp.array([1, 5]),
}


@pytest.mark.parametrize("kind", INPUTS)
def test_it_is_the_layer_divided_by_its_largest_singular_value(kind):
    network, x = Wrapped(kind), INPUTS[kind]
    tree = network.init(KEY, x, train=False)
    assert set(tree["params"]) == {"layer"}
    forward = jax.jit(lambda tree: network.apply(tree, x, train=True, mutable=["spectral"])[1])
    for _ in range(80):
        tree = {**tree, **forward(tree)}
    largest = np.linalg.svd(matrix(tree["params"], kind), compute_uv=False)[0]
    (sigma,) = (leaf for leaf in jax.tree.leaves(tree["spectral"]) if leaf.ndim == 0)
    np.testing.assert_allclose(sigma, largest, rtol=1e-4)
    bare = Wrapped(kind, wanted=False).apply({"params": tree["params"]}, x, train=True)  # biases are zero
    np.testing.assert_allclose(network.apply(tree, x, train=False), bare / largest, rtol=1e-3, atol=1e-6)


def test_without_it_there_are_the_same_params_and_no_state():
    normed, bare = (Wrapped("conv", wanted).init(KEY, IMAGE, train=False) for wanted in (True, False))
    assert set(bare) == {"params"}
    jax.tree.map(np.testing.assert_array_equal, normed["params"], bare["params"])


@pytest.mark.parametrize(("train", "mutable"), [(True, []), (False, ["spectral"])])
def test_a_frozen_forward_and_one_that_does_not_train_keep_the_vectors(train, mutable):
    network = Wrapped("dense")
    tree = network.init(KEY, INPUTS["dense"], train=False)
    y, kept = network.apply(tree, INPUTS["dense"], train=train, mutable=mutable)
    moving, moved = network.apply(tree, INPUTS["dense"], train=True, mutable=["spectral"])
    np.testing.assert_array_equal(y, moving)
    jax.tree.map(np.testing.assert_array_equal, kept.get("spectral", tree["spectral"]), tree["spectral"])
    assert not np.array_equal(*(next(iter(jax.tree.leaves(each["spectral"]))) for each in (moved, tree)))


def test_the_gradient_is_that_of_the_normed_layer():
    network, x = Wrapped("dense"), INPUTS["dense"]
    tree = network.init(KEY, x, train=False)
    forward = jax.jit(lambda tree: network.apply(tree, x, train=True, mutable=["spectral"])[1])
    for _ in range(80):
        tree = {**tree, **forward(tree)}

    def reference(kernel):
        return jnp.sin(x @ (kernel / jnp.linalg.norm(kernel, 2))).sum()

    def ours(kernel):
        params = {"layer": {**tree["params"]["layer"], "kernel": kernel}}
        return jnp.sin(network.apply({**tree, "params": params}, x, train=True, mutable=[])[0]).sum()

    kernel = tree["params"]["layer"]["kernel"]
    np.testing.assert_allclose(jax.grad(ours)(kernel), jax.grad(reference)(kernel), rtol=1e-3, atol=1e-4)

"""Self-attention against numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.layers.attention import SelfAttention

KEY = jax.random.key(0)
X = jax.random.normal(jax.random.key(1), (2, 4, 6, 16))


@pytest.fixture(scope="module")
def params():
    """The params of a layer of 16 channels."""
    return jax.jit(lambda: SelfAttention().init(KEY, X, train=False)["params"])()


def test_it_starts_as_the_identity(params):
    assert float(params["gamma"]) == 0
    np.testing.assert_array_equal(SelfAttention().apply({"params": params}, X, train=True), X)


def test_pixels_gather_by_the_closed_form(params):
    def pixels(name, pooled):
        y = np.asarray(X, np.float64) @ np.asarray(params[name]["kernel"], np.float64)[0, 0]
        if pooled:
            y = np.stack([y[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]).max(axis=0)
        return y.reshape(2, -1, y.shape[-1])

    scores = pixels("theta", False) @ pixels("phi", True).transpose(0, 2, 1)
    weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    gathered = (weights @ pixels("g", True)) @ np.asarray(params["o"]["kernel"])[0, 0]
    ours = SelfAttention().apply({"params": {**params, "gamma": jnp.float32(0.5)}}, X, train=True)
    np.testing.assert_allclose(ours, X + 0.5 * gathered.reshape(X.shape), rtol=1e-4, atol=1e-5)


def test_maps_have_the_published_widths(params):
    assert {name: layer["kernel"].shape for name, layer in params.items() if name != "gamma"} == {
        "theta": (1, 1, 16, 2),
        "phi": (1, 1, 16, 2),
        "g": (1, 1, 16, 8),
        "o": (1, 1, 8, 16),
    }


def test_it_learns_from_the_start_and_twice(params):
    spectral = SelfAttention(spectral=True, dtype=jnp.bfloat16)
    tree = jax.jit(lambda: spectral.init(KEY, X, train=False))()

    def loss(params, x):
        y, _ = spectral.apply({**tree, "params": params}, x, train=True, mutable=["spectral"])
        return jnp.sin(y.astype(jnp.float32)).sum()

    assert set(tree["spectral"]) == {f"{name}_norm" for name in ("theta", "phi", "g", "o")}
    assert np.abs(jax.jit(jax.grad(loss))(tree["params"], X)["gamma"]) > 0
    moved = {**tree["params"], "gamma": jnp.float32(1.0)}
    twice = jax.jit(jax.grad(lambda params: jnp.square(jax.grad(loss, 1)(params, X)).sum()))(moved)
    assert all(np.isfinite(leaf).all() and np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(twice))

"""The loop that is unrolled where convolutions inside loops are slow."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.layers.conv import Geometry, conv
from jaxgan.layers.repeat import fold

GEOMETRY = Geometry((1, 1), ((1, 1), (1, 1)), 1, (4, 4))
W = jax.random.normal(jax.random.key(0), (3, 3, 2, 2)) / 4
START = jax.random.normal(jax.random.key(1), (1, 4, 4, 2))
XS = {"shift": jax.random.normal(jax.random.key(2), (3, 2)), "scale": jnp.arange(1.0, 4.0)}


def convolve(carry, x):
    carry = jnp.tanh(conv(carry, W, GEOMETRY)) * x["scale"] + x["shift"]
    return carry, {"mean": carry.mean(), "max": carry.max()}


def add(carry, x):
    return carry * x["scale"] + x["shift"], carry.sum()


@pytest.mark.parametrize("unroll", [False, True])
@pytest.mark.parametrize("step", [convolve, add])
def test_values_and_gradients_are_those_of_a_python_loop(step, unroll):
    def loop(function, carry, xs):
        outputs = []
        for index in range(3):
            carry, output = function(carry, jax.tree.map(lambda leaf, index=index: leaf[index], xs))
            outputs.append(output)
        return carry, jax.tree.map(lambda *leaves: jnp.stack(leaves), *outputs)

    def everything(repeat):
        def loss(carry, xs):
            carry, outputs = repeat(step, carry, xs)
            return jnp.sin(carry).sum() + sum(leaf.sum() for leaf in jax.tree.leaves(outputs))

        return repeat(step, START, XS), jax.grad(loss, (0, 1))(START, XS)

    ours, reference = jax.jit(lambda: everything(partial(fold, unroll_on_cpu=unroll)))(), everything(loop)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), ours, reference)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("unroll", "platform", "loops"), [(True, "cpu", False), (True, "cuda", True), (False, "cpu", True)]
)
def test_only_what_is_to_be_on_cpu_is_unrolled(unroll, platform, loops):
    traced = jax.jit(lambda carry, xs: fold(convolve, carry, xs, unroll_on_cpu=unroll)).trace(START, XS)
    assert ("stablehlo.while" in traced.lower(lowering_platforms=(platform,)).as_text()) is loops

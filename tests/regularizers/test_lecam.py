"""LeCam's moving means and what it asks for."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.layers.collective import axis
from jaxgan.regularizers.lecam import lecam

REAL, FAKE = jnp.array([1.0, 3.0]), jnp.array([-2.0, 0.0])


def test_before_its_start_it_asks_nothing_and_remembers_the_last_means():
    values, memory = lecam(REAL, FAKE, 99, start=100, memory={"real": jnp.float32(7.0), "fake": jnp.float32(7.0)})
    np.testing.assert_array_equal(values, [0.0, 0.0])
    assert {name: float(value) for name, value in memory.items()} == {"real": 2.0, "fake": -1.0}


def test_after_its_start_each_side_is_drawn_to_the_mean_of_the_other():
    memory = {"real": jnp.float32(1.0), "fake": jnp.float32(-3.0)}
    values, memory = lecam(REAL, FAKE, 100, weight=0.5, decay=0.75, start=100, memory=memory)
    assert {name: float(value) for name, value in memory.items()} == {"real": 1.25, "fake": -2.5}
    np.testing.assert_allclose(values, 0.5 * ((REAL + 2.5) ** 2 + (FAKE - 1.25) ** 2), rtol=1e-6)


def test_no_gradient_flows_through_the_means():
    gradient = jax.grad(lambda real: lecam(real, FAKE, 0, start=0, decay=0.0, weight=1.0)[0].sum())(REAL)
    np.testing.assert_allclose(gradient, 2 * (REAL + 1.0))  # the fakes' mean is -1


def test_the_defaults_start_from_zero_and_patches_are_averaged():
    patches = jnp.stack([REAL - 1.0, REAL + 1.0], axis=1)
    values, memory = lecam(patches, FAKE, 10**6)
    np.testing.assert_allclose([memory["real"], memory["fake"]], [0.02, -0.01], atol=1e-7)
    np.testing.assert_allclose(values, 0.3 * ((REAL + 0.01) ** 2 + (FAKE - 0.02) ** 2), rtol=1e-5)


def test_the_means_are_those_of_all_devices():
    def on_device(real, fake):
        with axis("batch"):
            return lecam(real, fake, 0, start=1)[1]

    memory = jax.vmap(on_device, axis_name="batch")(REAL[:, None], FAKE[:, None])
    np.testing.assert_allclose(memory["real"], [2.0, 2.0])
    np.testing.assert_allclose(memory["fake"], [-1.0, -1.0])

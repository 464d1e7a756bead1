"""Schedules over images."""

import jax
import numpy as np
import pytest

from jaxgan.schedules import at, make_schedule


@pytest.mark.quick
def test_values_on_the_way():
    cosine = {"name": "cosine", "start": 2.0, "stop": 1.0, "images": 100}
    np.testing.assert_allclose([at(cosine, n) for n in (0, 50, 100, 1000)], [2.0, 1.5, 1.0, 1.0], atol=1e-6)
    linear = {"name": "linear", "start": 0.9, "stop": 0.99, "images": 10}
    np.testing.assert_allclose([at(linear, n) for n in (0, 5, 10, 11)], [0.9, 0.945, 0.99, 0.99], rtol=1e-6)
    warm = {"name": "constant", "value": 4.0, "warmup_images": 100}
    np.testing.assert_allclose([at(warm, n) for n in (24, 49, 99, 500)], [1.0, 2.0, 4.0, 4.0], rtol=1e-6)
    assert at(0.5, 7) == 0.5


def test_a_schedule_is_traced():
    schedule, traces = make_schedule({"name": "linear", "start": 0.0, "stop": 1.0, "images": 4}), []

    @jax.jit
    def traced(images):
        traces.append(images)
        return schedule(images)

    np.testing.assert_allclose([traced(n) for n in range(5)], [0, 0.25, 0.5, 0.75, 1.0])
    assert len(traces) == 1

"""Projection onto a linear generator, where the nearest code is known."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.inference.projection import learning_rate, project, pyramid_distance


def linear(weights, codes):
    return (codes @ weights).reshape(-1, 8, 8, 1)


def test_the_nearest_code_of_a_linear_generator_is_found():
    random = np.random.default_rng(0)
    weights = random.normal(size=(4, 64)).astype(np.float32) / 4
    code = random.normal(size=4).astype(np.float32)
    target = np.asarray(linear(weights, code[None]))[0]
    found = project(linear, weights, target, start=np.zeros(4, np.float32), spread=2.0, steps=200)
    np.testing.assert_allclose(found.code, code, atol=0.02)
    np.testing.assert_allclose(found.image, target, atol=0.02)
    assert found.distances.shape == (201,)
    assert found.distances[-1] < 1e-3 * found.distances[0]


def test_a_start_that_is_the_answer_is_kept():
    weights, start = np.eye(3, 64, dtype=np.float32), np.ones(3, np.float32)
    target = np.asarray(linear(weights, start[None]))[0]
    found = project(linear, weights, target, start=start, spread=1.0, steps=3)
    np.testing.assert_array_equal(found.code, start)
    assert found.distances[-1] == 0.0


def test_the_seed_is_that_of_the_noise():
    weights, start = np.eye(3, 64, dtype=np.float32), np.zeros(3, np.float32)
    codes = [
        project(linear, weights, np.ones((8, 8, 1)), start=start, spread=1.0, steps=3, seed=seed).code
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(codes[0], codes[1])
    assert (codes[0] != codes[2]).any()
    with pytest.raises(ValueError, match="got 0"):
        project(linear, weights, np.ones((8, 8, 1)), start=start, spread=1.0, steps=0)


def test_each_level_of_the_pyramid_counts():
    flat = jnp.full((1, 16, 16, 1), 0.5)  # 16, 8 and 4 pixels
    checkers = jnp.where(jnp.indices((16, 16)).sum(0) % 2, 0.5, -0.5)[None, ..., None]  # only at 16
    np.testing.assert_allclose(pyramid_distance(flat, 0 * flat), [0.75], rtol=1e-6)
    np.testing.assert_allclose(pyramid_distance(checkers, 0 * flat), [0.25], rtol=1e-6)
    odd = jnp.full((1, 14, 14, 3), 0.5)  # 14 and 7
    np.testing.assert_allclose(pyramid_distance(odd, 0 * odd), [0.5], rtol=1e-6)


def test_the_rate_rises_stays_and_falls():
    rates = [float(learning_rate(count, 1000)) for count in (0, 25, 50, 750, 875, 1000)]
    np.testing.assert_allclose(rates, [0.0, 0.05, 0.1, 0.1, 0.05, 0.0], atol=1e-7)

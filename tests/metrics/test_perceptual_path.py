"""Perceptual path length in closed forms."""

import numpy as np

from jaxgan.metrics.perceptual_path import lerp, path_lengths, perceptual_path_length, slerp


def square(first, second):
    return np.square(first - second).sum(axis=1)


def test_of_a_linear_generator_it_is_the_square_of_each_paths_length():
    random = np.random.default_rng(0)
    starts, ends, matrix = random.normal(size=(6, 3)), random.normal(size=(6, 3)), random.normal(size=(3, 4))
    lengths = path_lengths(lambda z: z @ matrix, square, starts, ends)
    np.testing.assert_allclose(lengths, np.square((ends - starts) @ matrix).sum(axis=1), rtol=1e-6)


def test_on_the_sphere_it_is_the_square_of_the_angle():
    starts, ends = np.array([[2.0, 0.0]]), np.array([[0.0, 5.0]])
    np.testing.assert_allclose(slerp(starts, ends, 0.5), [[np.sqrt(0.5)] * 2])
    lengths = path_lengths(lambda z: z, square, starts, ends, between=slerp)
    np.testing.assert_allclose(lengths, (np.pi / 2) ** 2, rtol=1e-4)
    np.testing.assert_allclose(lerp(starts, ends, 0.25), [[1.5, 1.25]])


def test_the_extremes_are_left_out():
    lengths = np.concatenate([np.full(500, 2.0), [1e9, 1e9], [-1e9]])
    assert perceptual_path_length(lengths) == 2.0

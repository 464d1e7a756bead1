"""Kernels against closed forms, the convolution against scipy's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage, special

from jaxgan.augment.blur_kernels import (
    SHARES,
    SIZE,
    convolve,
    normalized,
    random_kernels,
    random_sincs,
    sinc,
    squared_distance,
)

STEPS = np.arange(SIZE) - SIZE // 2
Y, X = np.meshgrid(STEPS, STEPS, indexing="ij")
LARGEST = jnp.array([10])


def test_a_gaussian_is_scipys():
    impulse = np.zeros((SIZE, SIZE))
    impulse[10, 10] = 1.0
    sigma = jnp.array([2.0])
    kernel = normalized(jnp.exp(-0.5 * squared_distance(sigma, sigma, jnp.zeros(1))), LARGEST)[0]
    np.testing.assert_allclose(kernel, ndimage.gaussian_filter(impulse, 2.0, radius=10), atol=1e-6)


@pytest.mark.parametrize("angle", [0.0, 0.7, -2.0])
def test_the_moments_of_an_anisotropic_gaussian_are_its_covariance(angle):
    distance = squared_distance(jnp.array([2.5]), jnp.array([1.2]), jnp.array([angle]))
    kernel = np.asarray(normalized(jnp.exp(-0.5 * distance), LARGEST)[0], np.float64)
    moments = [[(kernel * a * b).sum() for b in (X, Y)] for a in (X, Y)]
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    np.testing.assert_allclose(moments, turn @ np.diag([2.5**2, 1.2**2]) @ turn.T, atol=0.02)


@pytest.mark.parametrize("cutoff", [np.pi / 5, np.pi / 3, 2.5, np.pi])
def test_a_sinc_is_the_low_pass_of_bessels_function(cutoff):
    radius = np.hypot(X, Y)
    with np.errstate(invalid="ignore"):
        expected = cutoff * special.j1(cutoff * radius) / (2 * np.pi * radius)
    expected[10, 10] = cutoff**2 / (4 * np.pi)
    kernel = np.asarray(sinc(jnp.array([cutoff]))[0], np.float64)
    np.testing.assert_allclose(kernel, expected, atol=2e-6)
    if cutoff < 3:
        passed = np.abs((kernel * np.cos(0.3 * cutoff * X)).sum())
        stopped = np.abs((kernel * np.cos(min(1.6 * cutoff, np.pi) * X)).sum())
        assert passed > 0.8
        assert stopped < 0.2


def test_convolution_is_scipys_with_each_images_own_kernel():
    image = jax.random.normal(jax.random.key(0), (2, 12, 30, 3))
    kernels = jax.random.normal(jax.random.key(1), (2, SIZE, SIZE))  # no symmetry to hide behind
    ours = jax.jit(convolve)(image, kernels)
    for got, one, kernel in zip(ours, image, kernels):
        expected = ndimage.convolve(np.asarray(one, np.float64), np.asarray(kernel)[..., None], mode="nearest")
        np.testing.assert_allclose(got, expected, atol=2e-4)


draw = jax.jit(lambda key: random_kernels(key, 300, (0.2, 3.0)))


def test_random_kernels_sum_to_one_and_differ_by_key_and_row():
    kernels = np.asarray(draw(jax.random.key(0)))
    assert kernels.shape == (300, SIZE, SIZE)
    np.testing.assert_allclose(kernels.sum((1, 2)), 1.0, atol=1e-5)
    np.testing.assert_array_equal(kernels, draw(jax.random.key(0)))
    assert (np.asarray(draw(jax.random.key(1))) != kernels).any((1, 2)).all()
    assert len(np.unique(kernels[:, 10, 10])) == 300
    rings = (kernels < -1e-3).any((1, 2)).mean()  # only sincs are negative
    assert 0.05 < rings < 0.16
    reach = np.where(kernels != 0, np.maximum(np.abs(X), np.abs(Y)), 0).max((1, 2))
    assert reach.max() == 10
    assert reach.min() <= 3
    round_ = np.isclose(kernels, kernels.transpose(0, 2, 1), atol=1e-7).all((1, 2)).mean()
    expected = sum(share for kind, share in SHARES.items() if not kind.endswith("anisotropic"))
    assert abs(round_ - expected) < 0.08


@pytest.mark.parametrize("kind", SHARES)
def test_a_kind_alone_is_what_its_name_says(kind):
    kernels = np.asarray(random_kernels(jax.random.key(2), 40, (1.5, 3.0), {kind: 1.0}), np.float64)
    round_ = np.isclose(kernels, kernels.transpose(0, 2, 1), atol=1e-7).all((1, 2))
    assert round_.mean() == (0.0 if kind.endswith("anisotropic") else 1.0)
    np.testing.assert_allclose(kernels, kernels[:, ::-1, ::-1], atol=1e-6)
    assert (kernels < -1e-5).any() == (kind == "sinc")
    if kind in ("isotropic", "generalized", "plateau"):
        # by q at distances 1 and 2: of a Gaussian the logarithms fall as q, a generalised one as q^beta
        centre, one, two = (kernels[:, 10, 10 + step] for step in (0, 1, 2))
        with np.errstate(divide="ignore"):
            if kind == "plateau":
                beta = np.log2((centre / two - 1) / (centre / one - 1)) / 2
            else:
                beta = np.log2(np.log(two / centre) / np.log(one / centre)) / 2
        low, high = {"isotropic": (1.0, 1.0), "generalized": (0.5, 4.0), "plateau": (1.0, 2.0)}[kind]
        seen = beta[np.isfinite(beta) & (one < 0.999 * centre)]
        assert len(seen) > 20
        assert ((seen > low - 0.03) & (seen < high + 0.03)).all()
        if kind != "isotropic":
            assert seen.max() - seen.min() > 0.3


def test_last_sincs_ring_and_sum_to_one():
    kernels = np.asarray(random_sincs(jax.random.key(0), 20))
    np.testing.assert_allclose(kernels.sum((1, 2)), 1.0, atol=1e-5)
    assert (kernels < 0).any((1, 2)).all()

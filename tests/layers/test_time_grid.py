"""Curves through codes against numpy and scipy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.interpolate import BSpline

from jaxgan.layers.temporal import TimeConv
from jaxgan.layers.time_grid import codes_until, curve, noise_before

CODES = jax.random.normal(jax.random.key(0), (2, 7, 3))
T = jnp.array([[0.0, 0.3, 1.0, 2.75, 4.0], [3.999, 2.0, 0.5, 0.0, 1.25]])


def test_linear_curves_are_numpy_s():
    expected = [[np.interp(t, np.arange(7), code) for code in codes.T] for t, codes in zip(T, np.asarray(CODES))]
    np.testing.assert_allclose(curve(CODES, T), np.moveaxis(expected, 1, 2), rtol=1e-4, atol=1e-6)


def test_splines_are_scipy_s_with_two_derivatives():
    knots = np.arange(-2.0, 9.0)  # by which t = 0 is at the second of the seven codes
    splines = [BSpline(knots - 1.0, codes, 3) for codes in np.asarray(CODES, np.float64)]
    once = lambda t: jax.jvp(lambda t: curve(CODES, t, "b_spline"), (t,), (jnp.ones_like(t),))[1]  # noqa: E731
    twice = lambda t: jax.jvp(once, (t,), (jnp.ones_like(t),))[1]  # noqa: E731
    inside = jnp.clip(T, 0.01, 3.99)  # at the ends the curve stops
    for order, ours in enumerate((lambda t: curve(CODES, t, "b_spline"), once, twice)):
        expected = [spline(np.asarray(t), order) for spline, t in zip(splines, inside)]
        np.testing.assert_allclose(ours(inside), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", ["linear", "b_spline"])
def test_a_curve_keeps_constants_and_stays_at_its_ends(kind):
    last = 7 - 1 - 2 * (kind == "b_spline")
    assert codes_until(last, kind) == codes_until(last - 0.5, kind) == 7
    np.testing.assert_allclose(curve(jnp.ones((1, 7, 1)), jnp.linspace(-1, 8, 50)[None], kind), 1.0, rtol=1e-6)
    ends = curve(CODES, jnp.array([[-3.0, 0.0, last, last + 9.0]] * 2), kind)
    np.testing.assert_array_equal(ends[:, [0, 3]], ends[:, [1, 2]])


def test_a_longer_film_begins_as_a_shorter_one():
    convs = [TimeConv(3, 5, padding="VALID"), TimeConv(3, 4, padding="VALID")]
    noise = jax.random.normal(jax.random.key(1), (2, noise_before(9, (5, 4)), 3))

    def codes(noise):
        for conv in convs:
            noise = conv.apply(conv.init(jax.random.key(2), noise), noise)
        return noise

    short = codes(noise[:, : noise_before(7, (5, 4))])
    assert (short.shape[1], codes(noise).shape[1]) == (7, 9)
    np.testing.assert_allclose(curve(codes(noise), T, "b_spline"), curve(short, T, "b_spline"), atol=1e-5)

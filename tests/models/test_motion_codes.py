"""Motion codes: smooth in time, the same for shorter and longer films, and as in the papers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.models.motion_codes import Acyclic, Convolved, Recurrent, Steady

CODES = {
    "linear": Convolved(4, every=8.0, kernel_sizes=(3, 2), curve="linear"),
    "b_spline": Convolved(4, every=8.0, curve="b_spline"),
    "acyclic": Acyclic(4, every=8.0, kernel_sizes=(3,), frequencies=2),
    "recurrent": Recurrent(4),
    "steady": Steady(3),
}


def noise_for(network, last, key=0):
    """Noise for a film; a longer film begins with the noise of a shorter one."""
    keys = jax.random.split(jax.random.key(key), 200)[: network.noise_length(last)]
    return jax.vmap(lambda key: jax.random.normal(key, (2, network.dim)), out_axes=1)(keys)


def codes_of(network, last, times):
    noise, times = noise_for(network, last), jnp.broadcast_to(jnp.float32(times), (2, len(times)))
    tree = network.init(jax.random.key(1), noise, times)
    return np.asarray(network.apply(tree, noise, times)), tree


@pytest.mark.parametrize("name", CODES)
def test_a_longer_film_begins_as_a_shorter_one_at_any_rate(name):
    network = CODES[name]
    short, _ = codes_of(network, 15.0, np.arange(16))
    long, _ = codes_of(network, 90.0, np.arange(91))
    np.testing.assert_allclose(long[:, :16], short, atol=1e-5)
    fine, _ = codes_of(network, 15.0, np.arange(0, 15.1, 0.25))
    np.testing.assert_allclose(fine[:, ::4], short, atol=1e-5)
    steps = np.abs(np.diff(fine, axis=1)).max()
    assert 0 < steps < 0.6 * np.abs(np.diff(short, axis=1)).max()  # in quarters of the time about quarters of the way
    assert np.abs(np.diff(long[:, -8:], axis=1)).min(axis=-1).max() > 0  # and it moves to the end


def test_noise_is_no_more_than_a_film_needs():
    assert CODES["linear"].noise_length(15.0) == 3 + 2 + 1  # codes at 0, 8 and 16
    assert CODES["linear"].noise_length(16.0) == 3 + 2 + 1
    assert CODES["linear"].noise_length(16.1) == 4 + 2 + 1
    assert CODES["b_spline"].noise_length(16.0) == 3 + 2 + 4
    assert CODES["acyclic"].noise_length(0.0) == 2 + 2
    assert CODES["recurrent"].noise_length(15.0) == 1 + 16


def test_splines_vary_as_much_between_codes_as_at_them():
    network = Convolved(64, every=8.0)
    found, _ = codes_of(network, 400.0, np.arange(0, 400, 2))
    for start in range(4):  # in the cycle of four
        np.testing.assert_allclose(found[:, start::4].std(), 1, atol=0.15)


def test_steady_waves_have_their_own_speeds_and_the_same_distribution_at_any_time():
    network = Steady(2, shortest=8.0, longest=32.0)
    found, tree = codes_of(network, 100.0, np.arange(100))
    sine, cosine = np.split(found / np.sqrt(2), 2, axis=-1)
    np.testing.assert_allclose(sine**2 + cosine**2, 1, atol=1e-5)
    turned = np.diff(np.unwrap(np.arctan2(sine, cosine), axis=1), axis=1)
    pace = noise_for(network, 0.0)[:, 0, 4:] @ tree["params"]["speed"]["kernel"] / np.sqrt(2)
    wanted = 2 * np.pi / np.array([8.0, 32.0]) * (1 + np.tanh(pace))
    np.testing.assert_allclose(turned, np.broadcast_to(wanted[:, None], turned.shape), atol=1e-3)
    many = jax.random.normal(jax.random.key(5), (20_000, 1, 6))
    for wave in ("sine", "triangle"):
        for time in (0.0, 3.3):
            code = network.clone(wave=wave).apply(tree, many, jnp.full((20_000, 1), time))[:, 0]
            np.testing.assert_allclose(code.mean(axis=0), 0, atol=0.03)
            np.testing.assert_allclose(np.cov(np.asarray(code).T), np.eye(code.shape[1]), atol=0.03)


def test_triangular_waves_are_straight_between_turns():
    network = Steady(1, shortest=64.0, longest=64.0, wave="triangle")
    found, _ = codes_of(network, 64.0, np.arange(65))
    steps = np.diff(found, axis=1)
    assert np.ptp(np.quantile(np.abs(steps), [0.2, 0.95], axis=1), axis=0).max() < 1e-4
    np.testing.assert_allclose(np.abs(found).max(), np.sqrt(3), atol=0.2)
    assert (np.diff(np.sign(steps), axis=1) != 0).sum(axis=1).max() <= 8


def test_acyclic_codes_are_those_of_the_paper():
    network = CODES["acyclic"]
    noise, time = noise_for(network, 30.0), jnp.array([[8.0, 11.5, 16.0]] * 2)
    tree = network.init(jax.random.key(1), noise, time)
    found = np.asarray(network.apply(tree, noise, time))
    params = jax.tree.map(np.float64, tree["params"])
    noise = np.float64(noise)
    kernel = params["conv_0"]["kernel"] * 0.01 / np.sqrt(3 * 4)  # equalised, at a hundredth of the rate
    u = np.stack([sum(noise[:, place + k] @ kernel[k] for k in range(3)) for place in range(4)], axis=1)
    speed = 1 + np.tanh(u @ params["speed"]["kernel"] / 2)
    phase, align = u @ params["phase"]["kernel"] / 2, u @ params["align"]["kernel"] / 2
    periods = np.array([16.0, 1024.0])

    def wave(t, left):
        angle = 2 * np.pi / periods * speed[:, left] * t + phase[:, left]
        return np.concatenate([np.sin(angle), np.cos(angle)], axis=-1)

    share = 3.5 / 8
    lerp = (1 - share) * wave(8.0, 1) + share * wave(16.0, 1)
    between = wave(11.5, 1) - lerp + (1 - share) * align[:, 1] + share * align[:, 2]
    np.testing.assert_allclose(found[:, 1], between, atol=1e-4)
    np.testing.assert_allclose(found[:, ::2], align[:, 1:3], atol=1e-4)

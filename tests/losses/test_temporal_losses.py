"""Losses of clips: what they are of, and what they are 0 for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.losses import temporal


def moving(speed=1, frames=3):
    """A smooth picture that moves to the left: `[2,T,16,24,3]`."""
    y, x = np.mgrid[:16, : 24 + speed * frames]  # one level of the flow: quick to compile
    picture = 0.4 * np.sin(0.5 * x + 0.3 * y) + 0.3 * np.cos(0.4 * y)
    clip = np.stack([picture[:, speed * t : speed * t + 24] for t in range(frames)])
    return jnp.asarray(np.stack([clip, -clip])[..., None].repeat(3, axis=-1), jnp.float32)


loss = jax.jit(temporal.warp)


def test_difference_is_that_of_the_changes():
    rng = np.random.default_rng(0)
    restored, target = jnp.asarray(rng.normal(size=(2, 2, 4, 3, 3, 1)), jnp.float32)
    expected = np.abs(np.diff(restored, axis=1) - np.diff(target, axis=1)).mean((1, 2, 3, 4))
    np.testing.assert_allclose(temporal.difference(restored, target), expected, rtol=1e-5)
    standing = np.repeat(restored[:, :1], 4, axis=1)
    np.testing.assert_allclose(temporal.difference(target + standing, target), 0, atol=1e-6)  # wrong, but steady


def test_warp_is_small_for_what_moves_as_the_target_and_large_for_what_flickers():
    target = moving()
    flicker = jnp.asarray([0.2, -0.2, 0.2])[None, :, None, None, None]
    steady, flickering, lagging = (
        loss(0.5 * target + 0.1, target),
        loss(target + flicker, target),
        loss(-target, target),
    )
    assert steady.shape == (2,)
    np.testing.assert_allclose(flickering, 0.4, rtol=0.1)
    assert steady.max() < 0.02
    assert np.all(lagging < 0.05)  # another picture, that moves alike
    assert loss(jnp.repeat(target[:, :1], 3, axis=1), target).min() > 3 * steady.max()  # one that does not move


def test_warp_leaves_out_what_the_target_does_not_show_twice():
    target = moving()
    cut, noise = (np.random.default_rng(seed).uniform(-1, 1, target.shape).astype(np.float32) for seed in (1, 2))
    assert loss(jnp.asarray(noise), jnp.asarray(cut)).max() < 0.1 * loss(jnp.asarray(noise), 0 * target).min()


def test_ping_pong_compares_the_way_there_with_the_way_back():
    clip = jnp.arange(24.0).reshape(1, 4, 2, 3, 1)
    np.testing.assert_allclose(temporal.ping_pong(clip, clip[:, :3] - 0.5), [0.5])


@pytest.mark.parametrize("each", [temporal.difference, temporal.warp])
def test_gradients_are_finite_also_where_nothing_moves(each):
    target = moving().at[0].set(0.0)
    gradients = jax.jit(jax.grad(lambda restored: each(restored, target).sum()))(0.9 * target)
    assert np.isfinite(gradients).all()
    assert float(jnp.abs(gradients[1]).sum()) > 0

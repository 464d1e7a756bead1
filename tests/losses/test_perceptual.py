"""Perceptual losses on features that are known in closed form. Trained networks: tests/parity."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.errors import UserError
from jaxgan.losses.perceptual import REAL_ESRGAN, lpips, perceptual

RANDOM = np.random.default_rng(0)
RESTORED, TARGET = (jnp.asarray(RANDOM.uniform(-1, 1, (2, 4, 4, 3)), jnp.float32) for _ in range(2))
MIX = jnp.asarray(RANDOM.normal(size=(3, 5)), jnp.float32)
HEADS = {
    "fine": jnp.asarray(RANDOM.uniform(size=5), jnp.float32),
    "coarse": jnp.asarray(RANDOM.uniform(size=3), jnp.float32),
}


def features(images):
    return {"fine": images @ MIX, "coarse": images[:, ::2, ::2] ** 2}


def numpy_maps(images):
    images = np.asarray(images, np.float64)
    return {"fine": images @ np.asarray(MIX), "coarse": images[:, ::2, ::2] ** 2}


@pytest.mark.parametrize(("distance", "power"), [("l1", 1), ("l2", 2)])
def test_layers_are_summed_by_weight(distance, power):
    restored, target = numpy_maps(RESTORED), numpy_maps(TARGET)
    error = {name: (np.abs(restored[name] - target[name]) ** power).mean((1, 2, 3)) for name in restored}
    loss = perceptual(RESTORED, TARGET, features, layers={"fine": 0.1, "coarse": 2.0}, distance=distance)
    np.testing.assert_allclose(loss, 0.1 * error["fine"] + 2.0 * error["coarse"], rtol=1e-5)
    alone = perceptual(RESTORED, TARGET, features, layers={"coarse": 1.0}, distance=distance)
    np.testing.assert_allclose(alone, error["coarse"], rtol=1e-5)


def test_lpips_is_the_weighted_distance_of_directions():
    expected = 0.0
    restored, target = numpy_maps(RESTORED), numpy_maps(TARGET)
    for name, head in HEADS.items():
        first, second = (maps[name] / np.linalg.norm(maps[name], axis=-1, keepdims=True) for maps in (restored, target))
        expected = expected + (np.square(first - second) * np.asarray(head)).sum(-1).mean((1, 2))
    np.testing.assert_allclose(lpips(RESTORED, TARGET, features, HEADS), expected, rtol=1e-5)
    np.testing.assert_array_equal(lpips(RESTORED, RESTORED, features, HEADS), 0)


@pytest.mark.parametrize("loss", [lambda r, t: lpips(r, t, features, HEADS), lambda r, t: _perceptual(r, t)])
def test_the_target_has_no_gradient_and_silent_pixels_a_finite_one(loss):
    restored = RESTORED.at[0, 0, 0].set(0.0)  # all channels of the maps are 0 there
    by_restored, by_target = jax.jit(jax.grad(lambda r, t: loss(r, t).sum(), (0, 1)))(restored, TARGET)
    assert np.isfinite(by_restored).all()
    assert (by_restored[1] != 0).any()
    assert (by_target == 0).all()


def _perceptual(restored, target):
    return perceptual(restored, target, features, layers={"fine": 1.0, "coarse": 1.0})


def test_a_layer_that_the_network_has_not_is_told():
    with pytest.raises(UserError, match="wants the layer conv1_2, the network gives fine, coarse"):
        perceptual(RESTORED, TARGET, features, layers=REAL_ESRGAN)
    with pytest.raises(UserError, match="layers is empty"):
        perceptual(RESTORED, TARGET, features, layers={})

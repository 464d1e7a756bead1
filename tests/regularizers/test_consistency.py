"""Consistency penalties of critics and generators whose answers are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.errors import UserError
from jaxgan.game import Critic
from jaxgan.images.geometry import shifted_and_flipped
from jaxgan.regularizers.consistency import bcr, cr, zcr, zcr_generator

KEY = jax.random.key(0)
REAL, FAKE = jax.random.normal(jax.random.key(1), (2, 6, 8, 8, 1))
LATENT = jax.random.normal(jax.random.key(2), (6, 5))
RAMP = jnp.linspace(-1.0, 1.0, 8)[:, None]


def total(image):
    return image.sum((1, 2, 3))


def slanted(image):
    return (image * RAMP).mean((1, 2, 3))


def tiled(latent):
    return jnp.broadcast_to(latent.mean(1)[:, None, None, None], (len(latent), 4, 4, 1))


def test_cr_is_the_square_of_what_shifting_and_flipping_changes():
    moved = shifted_and_flipped(KEY, REAL, 4)
    expected = 3.0 * (slanted(REAL) - slanted(moved)) ** 2
    assert (expected > 0).all()
    np.testing.assert_allclose(cr(slanted, REAL, slanted(REAL), KEY, weight=3.0), expected, rtol=1e-5)


def test_a_critic_that_is_blind_to_flips_pays_nothing_without_shifts():
    np.testing.assert_allclose(cr(total, REAL, total(REAL), KEY, shift=0), np.zeros(6), atol=1e-6)


def test_bcr_is_cr_of_both_each_with_its_weight():
    logits = slanted(REAL), slanted(FAKE)
    both = bcr(slanted, REAL, FAKE, *logits, KEY)
    reals = bcr(slanted, REAL, FAKE, *logits, KEY, fake_weight=0.0)
    fakes = bcr(slanted, REAL, FAKE, *logits, KEY, weight=0.0)
    np.testing.assert_allclose(both, reals + fakes, rtol=1e-5)
    assert (reals > 0).all()
    assert (fakes > 0).all()
    assert (bcr(slanted, REAL, REAL, logits[0], logits[0], KEY, weight=-10.0) != 0).any()  # each moved its own way


def test_fakes_are_judged_by_the_critic_of_their_logits():
    twice = lambda image: 2 * slanted(image)  # noqa: E731
    logits = slanted(REAL), twice(FAKE)
    both = bcr(slanted, REAL, FAKE, *logits, KEY, fake_critic=twice)
    once = bcr(slanted, REAL, FAKE, logits[0], slanted(FAKE), KEY)
    reals = bcr(slanted, REAL, FAKE, *logits, KEY, fake_weight=0.0)
    np.testing.assert_allclose(both - reals, 4 * (once - reals), rtol=1e-3, atol=1e-6)


def test_patches_and_scales_are_averaged_after_squaring():
    patches = lambda image: {"patch": image[:, ::4, ::4, 0], "whole": slanted(image)}  # noqa: E731
    moved = shifted_and_flipped(KEY, REAL, 4)
    patch = np.square(patches(REAL)["patch"] - patches(moved)["patch"]).mean((1, 2))
    expected = 10.0 * (patch + np.square(slanted(REAL) - slanted(moved))) / 2
    np.testing.assert_allclose(cr(patches, REAL, patches(REAL), KEY), expected, rtol=1e-5)


def test_zcr_of_linear_players_is_known_on_average():
    latent = jnp.zeros((20_000, 5))
    logits = total(tiled(latent))  # 16 times the mean of five normal numbers times sigma
    values = zcr(total, tiled, latent, logits, KEY, sigma=0.1)
    np.testing.assert_allclose(values.mean(), 5.0 * 16**2 * 0.1**2 / 5, rtol=0.05)
    values = zcr_generator(tiled, latent, tiled(latent), KEY, sigma=0.1)
    np.testing.assert_allclose(values.mean(), -0.5 * 0.1**2 / 5, rtol=0.05)


def test_the_generators_part_asks_for_larger_changes():
    def loss(gain):
        return zcr_generator(lambda z: gain * tiled(z), LATENT, gain * tiled(LATENT), KEY).mean()

    assert jax.grad(loss)(1.0) < 0


@pytest.mark.quick
def test_frames_of_a_clip_are_moved_alike():
    still = jnp.repeat(REAL[:, None], 3, axis=1)
    critic = lambda clip: slanted(clip[:, 0]) + slanted(clip[:, 2])  # noqa: E731
    expected = 4.0 * cr(slanted, REAL, slanted(REAL), KEY)
    np.testing.assert_allclose(cr(critic, still, critic(still), KEY), expected, rtol=1e-4)


def test_several_scales_cannot_be_shifted():
    with pytest.raises(UserError, match="scales"):
        cr(total, (REAL, REAL[:, ::2, ::2]), total(REAL), KEY)


def test_packs_are_moved_image_by_image_and_judged_as_one():
    packs = Critic(lambda image: slanted(image).reshape(-1, 2).sum(1), rows=2)
    moved = slanted(shifted_and_flipped(KEY, REAL, 4))
    expected = 10.0 * (slanted(REAL) - moved).reshape(-1, 2).sum(1) ** 2
    np.testing.assert_allclose(cr(packs, REAL, packs(REAL), KEY), expected, rtol=1e-4)
    assert bcr(packs, REAL, FAKE, packs(REAL), packs(FAKE), KEY).shape == (3,)
    totals = Critic(lambda image: total(image).reshape(-1, 2).sum(1), rows=2)
    assert zcr(totals, tiled, LATENT, totals(tiled(LATENT)), KEY).shape == (3,)

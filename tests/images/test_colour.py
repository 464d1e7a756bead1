"""Colours: grey stays grey, hue turns, and each transform is its closed form."""

import colorsys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.images.colour import TRANSFORMS, compose, recolour
from jaxgan.images.draws import Draw

COLOURS = jax.random.uniform(jax.random.key(0), (1, 5, 5, 3), minval=-1.0)


def changed(name, uniform=0.0, normal=0.0, strength=1.0, images=COLOURS):
    draws = {name: Draw(jnp.array([True]), jnp.full((2, 1), uniform), jnp.full((4, 1), normal))}
    matrices = compose(draws, {name: strength}, images.shape[-1])
    return np.asarray(recolour(images, matrices, jnp.zeros(1)))


def test_a_third_of_a_turn_of_hue_exchanges_the_channels():
    np.testing.assert_allclose(changed("hue", 5 / 6), np.roll(COLOURS, 1, axis=-1), atol=1e-5)


def test_hue_keeps_luma_and_distance_from_grey():
    out = changed("hue", 0.6)
    np.testing.assert_allclose(out.mean(-1), COLOURS.mean(-1), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(out, axis=-1), np.linalg.norm(COLOURS, axis=-1), atol=1e-5)


def test_saturation_scales_the_distance_from_grey():
    grey = COLOURS.mean(-1, keepdims=True)
    np.testing.assert_allclose(changed("saturation", normal=1.0), grey + 2.0 * (COLOURS - grey), atol=1e-5)


def test_a_flip_of_luma_keeps_hue_and_turns_black_to_white():
    np.testing.assert_allclose(changed("lumaflip", 0.2), COLOURS - 2.0 * COLOURS.mean(-1, keepdims=True), atol=1e-5)
    np.testing.assert_allclose(changed("lumaflip", 0.7), COLOURS, atol=1e-6)
    red, other = (
        np.array([0.9, 0.1, 0.3]),
        changed("lumaflip", 0.2, images=jnp.array([0.8, -0.8, -0.4]).reshape(1, 1, 1, 3)),
    )
    assert colorsys.rgb_to_hsv(*red)[0] == pytest.approx(colorsys.rgb_to_hsv(*(other.ravel() + 1) / 2)[0], abs=0.01)


def test_contrast_doubles():
    np.testing.assert_allclose(changed("contrast", normal=2.0, strength=0.5), 2.0 * COLOURS, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 2])
def test_without_three_channels_there_is_no_hue_and_with_one_no_saturation(channels):
    images = COLOURS[..., :channels]
    np.testing.assert_allclose(changed("hue", 0.9, images=images), images, atol=1e-6)
    if channels == 1:
        np.testing.assert_allclose(changed("saturation", normal=2.0, images=images), images, atol=1e-6)
        np.testing.assert_allclose(changed("lumaflip", images=images), -images, atol=1e-6)


def test_transforms_follow_one_another_in_their_order():
    draws = {n: Draw(jnp.array([True]), jnp.full((2, 1), 0.1), jnp.full((4, 1), 0.4)) for n in reversed(TRANSFORMS)}
    together = recolour(COLOURS, compose(draws, dict.fromkeys(TRANSFORMS, 1.0), 3), jnp.zeros(1))
    images = COLOURS
    for name in ("contrast", "lumaflip", "hue", "saturation"):
        images = changed(name, 0.1, 0.4, images=images)
    np.testing.assert_allclose(together, images, atol=1e-5)

"""Clips are augmented by one draw each: their frames alike, and as pictures by the same key."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.augment.ada import ADA
from jaxgan.augment.diffaugment import DiffAugment
from jaxgan.errors import UserError

KEY = jax.random.key(1)
IMAGES = jax.random.normal(jax.random.key(0), (4, 8, 8, 3))
STILL = jnp.repeat(IMAGES[:, None], 3, axis=1)  # clips of three frames that are the same
FILM = jax.random.normal(jax.random.key(2), (4, 3, 8, 8, 3))
BOTH = pytest.mark.parametrize("augment", [ADA("bgcfnc"), DiffAugment()], ids=["ada", "diffaugment"])


@BOTH
def test_a_still_clip_stays_still_and_is_augmented_as_its_picture(augment):
    clips, images = (jax.jit(lambda x: augment(KEY, x, 0.9))(x) for x in (STILL, IMAGES))
    for frame in range(3):
        np.testing.assert_array_equal(clips[:, frame], clips[:, 0])
    np.testing.assert_allclose(clips[:, 0], images, rtol=1e-4, atol=1e-5)
    assert (jnp.abs(images - IMAGES).max((1, 2, 3)) > 0.01).all()


@BOTH
def test_what_is_given_beside_a_clip_moves_with_each_of_its_frames(augment):
    moved = augment.moved(KEY, FILM, 0.9)
    for frame in range(3):
        np.testing.assert_allclose(moved[:, frame], augment.moved(KEY, FILM[:, frame], 0.9), rtol=1e-4, atol=1e-5)
    alone = ADA("bg") if isinstance(augment, ADA) else DiffAugment(("translation",))
    np.testing.assert_allclose(alone(jax.random.key(3), FILM, 0.9, moving_key=KEY), moved, rtol=1e-4, atol=1e-5)


def test_colours_of_a_clip_change_by_one_map():
    """A frame that is brighter than the others is so by the same factor after a change of contrast."""
    bright = jnp.array([0.0, 0.5, 1.0])[:, None, None, None] + STILL
    means = DiffAugment(("color",))(KEY, bright, 1.0).mean((2, 3, 4))
    np.testing.assert_allclose(means[:, 2] - means[:, 1], means[:, 1] - means[:, 0], rtol=1e-4)
    assert (jnp.abs(means[:, 2] - means[:, 0] - 1.0) > 0.01).any()


def test_frames_must_be_square():
    with pytest.raises(UserError, match="8x4"):
        ADA()(KEY, FILM[:, :, :, :4], 0.5)

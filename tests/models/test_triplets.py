"""Triplets: which frames are judged together, and warping by the motion of the conditions."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.errors import UserError
from jaxgan.game import Judgement
from jaxgan.models.triplets import Triplets


class Seen(nn.Module):
    """Shows what it was given."""

    def __call__(self, image, label=None, *, train):
        return Judgement(logits=image.mean(axis=(1, 2, 3)), features=(image,))


def judged(clip, channels=1):
    return Triplets(Seen(), channels=channels).apply({}, clip, train=False)


def test_frames_are_judged_three_by_three_as_channels():
    clip = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (2, 7, 8, 8, 1)), jnp.float32)
    seen = judged(clip)
    assert seen.logits.shape == (2, 2)
    expected = jnp.moveaxis(clip[:, :6].reshape(2, 2, 3, 8, 8), 2, -1)  # the seventh fills no triplet
    np.testing.assert_array_equal(seen.features[0], expected)
    with pytest.raises(UserError, match=r"config\.data\.frames: got 2, expected 3 or more"):
        judged(clip[:, :2])


def test_beside_conditions_frames_are_also_seen_without_their_motion():
    y, x = np.mgrid[:16, :20]
    picture = 0.5 * np.sin(0.5 * x + 0.3 * y) + 0.4 * np.cos(0.4 * y - 0.1 * x)
    frames = jnp.asarray(np.stack([picture[:, t : t + 16] for t in range(3)])[None, ..., None], jnp.float32)
    noise = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, frames.shape), jnp.float32)
    channels = judged(jnp.concatenate([frames, frames], axis=-1)).features[0][0, 0]
    assert channels.shape == (16, 16, 9)
    np.testing.assert_array_equal(channels[..., :3], channels[..., 3:6])  # the clip, its condition
    inside = channels[4:12, 4:12]
    moved, compensated = (np.abs(inside[..., k] - inside[..., 1]).mean() for k in (0, 6))
    assert compensated < 0.1 * moved
    np.testing.assert_array_equal(channels[..., 7], channels[..., 1])
    of_noise = judged(jnp.concatenate([noise, frames], axis=-1)).features[0][0, 0]  # moved by the condition's motion
    np.testing.assert_allclose(of_noise[8, 8, 6], noise[0, 0, 8, 9, 0], atol=0.3)

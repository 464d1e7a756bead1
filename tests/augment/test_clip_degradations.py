"""Degradations of clips: masks that stand and that move, noise with a map of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.augment.clip_degradations import H264, ClipMasks, MappedNoise
from jaxgan.augment.degradations import GaussianNoise
from jaxgan.errors import UserError
from jaxgan.media.films.compressing import compressed

KEY = jax.random.key(0)
CLIP = jax.random.uniform(jax.random.key(1), (8, 3, 16, 24, 3), minval=-1.0)


def degraded(degradation, image):
    return np.asarray(jax.jit(degradation.__call__)(KEY, image))


@pytest.mark.parametrize(
    ("moving", "label"),
    [
        (0.5, "strokes_moving0.5"),
        *(pytest.param(*each, marks=pytest.mark.slow) for each in ((0.0, "standing_strokes"), (1.0, "moving_strokes"))),
    ],
)
def test_masks_stand_or_move_and_say_so(moving, label):
    degradation = ClipMasks(moving=moving)
    assert degradation.label == label
    condition = degraded(degradation, CLIP)
    mask = condition[..., -1:]
    assert set(np.unique(mask)) == {0.0, 1.0}
    np.testing.assert_array_equal(condition[..., :-1], CLIP * (1 - mask))
    moves = (mask != mask[:, :1]).any(axis=(1, 2, 3, 4))
    assert (moves.all(), moves.any()) == (moving == 1, moving > 0)
    assert mask.any(axis=(2, 3, 4)).mean() > 0.8


def test_a_picture_has_the_mask_of_a_first_frame():
    whole, picture = degraded(ClipMasks("boxes"), CLIP), degraded(ClipMasks("boxes"), CLIP[:, 0])
    np.testing.assert_array_equal(picture, whole[:, 0])
    assert ClipMasks("boxes", width=(0.1, 0.2)).label == "moving_boxes_0.1-0.2"
    assert ClipMasks("mixed", 0.0).label == "standing_mixed_masks"
    for options in ({"kind": "half"}, {"width": (0.2, 0.1)}):
        with pytest.raises(UserError, match=r"config\.task\.degradation\."):
            ClipMasks(**options)


def test_mapped_noise_is_gaussian_noise_and_its_deviation():
    clip = jnp.zeros((6, 4, 32, 32, 3))
    condition = degraded(MappedNoise(), clip)
    np.testing.assert_array_equal(condition[..., :3], degraded(GaussianNoise((5.0, 55.0)), clip))
    assert (condition[..., 3] == condition[:, :1, :1, :1, 3]).all()  # one strength a clip
    np.testing.assert_allclose(condition[..., :3].std(axis=(1, 2, 3, 4)), condition[:, 0, 0, 0, 3], rtol=0.03)
    assert not np.allclose(condition[:, 0], condition[:, 1])  # noise anew a frame
    assert MappedNoise(25.0).label == "gaussian_25_mapped"
    picture = degraded(MappedNoise(25.0), clip[:, 0])
    np.testing.assert_allclose(picture[..., 3], 25 / 127.5, rtol=1e-6)


def test_each_clip_is_a_film_of_its_own_quality():
    smooth = jax.image.resize(CLIP, (8, 3, 32, 48, 3), "cubic")
    strong, weak = (degraded(H264(quality), smooth) for quality in (45, 10))
    assert strong.shape == smooth.shape
    errors = [np.abs(made - np.clip(smooth, -1, 1)).mean(axis=(1, 2, 3, 4)) for made in (weak, strong)]
    assert (errors[1] > 1.5 * errors[0]).all()
    mixed = degraded(H264((10, 45)), smooth)
    levels = np.rint(np.clip(smooth[0] * 127.5 + 127.5, 0, 255)).astype(np.uint8)
    made = np.rint(mixed[0] * 127.5 + 127.5).astype(np.uint8)
    assert any((compressed(levels, quality) == made).all() for quality in range(10, 46))


def test_a_picture_is_a_film_of_one_frame():
    picture = degraded(H264(20), CLIP[:, 0])
    np.testing.assert_array_equal(picture, degraded(H264(20), CLIP[:, :1])[:, 0])


@pytest.mark.parametrize("quality", [(30, 20), 52])
def test_impossible_qualities_are_refused(quality):
    with pytest.raises(UserError, match=r"quality: got .*, expected whole numbers from 0 to 51, the lower first"):
        H264(quality)

"""FFmpeg's filters applied to clips."""

import numpy as np
import pytest

from jaxgan.media.films.filtering import filtered

CLIP = np.random.default_rng(0).integers(0, 256, (5, 17, 23, 3)).astype(np.uint8)  # odd sides


@pytest.mark.parametrize("clip", [CLIP, CLIP[..., :1]])
def test_filters_without_effect_keep_clips(clip):
    np.testing.assert_array_equal(filtered(clip, "null"), clip)
    np.testing.assert_array_equal(filtered(clip, "hflip"), clip[:, :, ::-1])
    np.testing.assert_array_equal(filtered(clip, "negate"), 255 - clip)


def test_filters_that_hold_frames_back_give_them_all():
    still = np.repeat(CLIP[:1], 5, axis=0)
    np.testing.assert_array_equal(filtered(still, "atadenoise", "s=5"), still)


def test_what_ffmpeg_cannot_do_is_one_error():
    with pytest.raises(ValueError, match="no_such_filter"):
        filtered(CLIP, "no_such_filter")
    with pytest.raises(ValueError, match="nlmeans s=99"):
        filtered(CLIP, "nlmeans", "s=99")
    with pytest.raises(ValueError, match=r"scale w=8:h=8: expected \(5, 17, 23, 3\)"):
        filtered(CLIP, "scale", "w=8:h=8")
    with pytest.raises(ValueError, match="1 or 3 channels, got 2"):
        filtered(CLIP[..., :2], "null")

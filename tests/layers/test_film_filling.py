"""Holes of films filled from other frames, against NumPy's medians and films of which the truth is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from jaxgan.layers.filling import fill_roughly
from jaxgan.layers.film_filling import FILLINGS
from jaxgan.layers.flow import optical_flow
from jaxgan.layers.passage import Passage
from jaxgan.layers.warping import warp

PICTURE = np.stack(
    [ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(64, 80)), 2.5) * 4 for seed in range(3)], axis=-1
).astype(np.float32)


def filled(name, clip, hole, *, window=1, future=0):
    """The clip, and what no frame has shown."""
    passage = Passage()
    made = jax.jit(
        lambda *arrays: FILLINGS[name](passage, *(passage.extended(x, future) for x in arrays), window, future)
    )
    image, left, unseen = made(jnp.asarray(clip), jnp.asarray(hole))
    np.testing.assert_array_equal(left, hole)
    return np.asarray(image), np.asarray(unseen)


@pytest.mark.parametrize(("window", "future"), [(5, 1), (18, 7), (17, 8), (19, 9)])
def test_a_still_camera_s_holes_get_the_median_of_what_is_known(window, future):
    generator = np.random.default_rng(0)
    clip = generator.uniform(-1, 1, (2, 9, 5, 6, 3)).astype(np.float32)
    hole = (generator.uniform(size=(2, 9, 5, 6, 1)) < 0.6).astype(np.float32)
    hole[:, :, 0, 0], hole[:, 2:, 1, 1], hole[:, :2, 1, 1] = 1, 1, 0
    image, unseen = filled("median", clip * (1 - hole), hole, window=window, future=future)
    for frame in range(9):
        span = slice(max(0, frame + future + 1 - window), frame + future + 1)  # the last frame counts once
        known = np.where(hole[:, span] > 0, np.nan, clip[:, span])
        with np.testing.suppress_warnings() as expected:
            expected.filter(RuntimeWarning)
            middle = np.nanmedian(known, axis=1)
        there = np.isfinite(middle) & (hole[:, frame] > 0)
        np.testing.assert_allclose(image[:, frame][there], middle[there], atol=1e-6)
    np.testing.assert_array_equal(image * (1 - hole), clip * (1 - hole))
    if window == 5:  # known long ago
        np.testing.assert_allclose(image[:, 7:, 1, 1], np.broadcast_to(clip[:, 1:2, 1, 1], (2, 2, 3)))
    assert unseen[:, :, 0, 0].all()
    assert not unseen[:, :, 1, 1].any()
    rough = fill_roughly(jnp.where(unseen > 0, 0, image), jnp.asarray(unseen))
    np.testing.assert_allclose(image, rough, atol=1e-6)


@pytest.mark.parametrize("moved", [(0.0, 0.0), (1.5, -2.25), (-6.0, 9.0)])
def test_the_flow_of_a_picture_that_moves(moved):
    other = np.stack([ndimage.shift(PICTURE[..., i], moved, order=3, mode="nearest") for i in range(3)], axis=-1)
    known = np.ones((1, 64, 80, 1), np.float32)
    known[:, 25:37, 30:44] = 0
    image = PICTURE[None] * known
    flow = np.asarray(jax.jit(optical_flow)(image, known, other[None], np.ones_like(known)))
    inner = flow[0, 14:-14, 14:-14]  # the hole among it
    np.testing.assert_allclose(inner.mean(axis=(0, 1)), moved[::-1], atol=0.1)
    assert np.abs(inner - moved[::-1]).max() < 0.5
    warped = np.asarray(jax.jit(warp)(other[None], flow))[0]
    assert np.abs(warped - PICTURE)[14:-14, 14:-14].mean() < 0.05


@pytest.mark.slow
def test_a_moving_camera_s_holes_are_copied_along_the_flow():
    clip = np.stack([PICTURE[4 : 4 + 48, start : start + 56] for start in range(0, 20, 2)])[None]
    hole = np.zeros((1, 10, 48, 56, 1), np.float32)
    for frame in range(10):
        hole[:, frame, 16:28, 4 + 4 * frame : 16 + 4 * frame] = 1  # against the camera's way
    image, unseen = filled("flow", clip * (1 - hole), hole)
    still, _ = filled("median", clip * (1 - hole), hole, window=4)
    smooth, _ = filled("smooth", clip * (1 - hole), hole)
    errors = [np.abs(each - clip)[:, 5:].sum() / hole[:, 5:].sum() / 3 for each in (image, still, smooth)]
    assert errors[0] < 0.1 * min(errors[1:]), errors
    assert unseen[:, 0].sum() == hole[:, 0].sum()
    assert unseen[:, 5:].mean() < 0.2 * hole[:, 5:].mean()
    np.testing.assert_array_equal(image * (1 - hole), clip * (1 - hole))

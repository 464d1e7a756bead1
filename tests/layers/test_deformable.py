"""Deformable convolutions: what they are without offsets, with whole ones, and at the border."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.layers.deformable import deformable_conv, warp_into_nothing
from jaxgan.layers.warping import warp

RANDOM = np.random.default_rng(0)
IMAGE = jnp.asarray(RANDOM.normal(size=(2, 6, 7, 4)), jnp.float32)
KERNEL = jnp.asarray(RANDOM.normal(size=(3, 3, 4, 5)), jnp.float32)
STILL, WHOLE = jnp.zeros((2, 6, 7, 9, 2, 2)), jnp.ones((2, 6, 7, 9, 2))


def convolved(image, kernel=KERNEL):
    return jax.lax.conv_general_dilated(image, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def test_without_offsets_it_is_a_convolution():
    np.testing.assert_allclose(deformable_conv(IMAGE, STILL, WHOLE, KERNEL), convolved(IMAGE), atol=1e-5)


def test_offsets_move_what_is_seen_and_beyond_the_border_is_nothing():
    moved = jnp.pad(IMAGE, ((0, 0), (0, 2), (1, 0), (0, 0)))[:, 2:, :-1]  # from two pixels below, one to the left
    ours = deformable_conv(IMAGE, STILL + jnp.array([2.0, -1.0]), WHOLE, KERNEL)
    inside = (slice(None), slice(1, -1), slice(1, -1))  # at the border the moved image has lost what taps still see
    np.testing.assert_allclose(ours[inside], convolved(moved)[inside], atol=1e-5)


def test_between_pixels_it_is_bilinear_and_groups_have_their_own_offsets():
    offset = STILL.at[..., 1, 1].set(0.25)  # of the second group, to the right
    right = jnp.pad(IMAGE[:, :, 1:], ((0, 0), (0, 0), (0, 1), (0, 0)))
    mixed = jnp.concatenate([IMAGE[..., :2], 0.75 * IMAGE[..., 2:] + 0.25 * right[..., 2:]], axis=-1)
    ours = deformable_conv(IMAGE, offset, WHOLE, KERNEL)
    np.testing.assert_allclose(ours[:, :, 1:], convolved(mixed)[:, :, 1:], atol=1e-5)


def test_warping_is_that_of_images_but_nothing_comes_in_from_beyond_the_border():
    flow = jnp.broadcast_to(jnp.array([1.25, -2.0]), (2, 6, 7, 2))  # to the right, up
    ours, usual = warp_into_nothing(IMAGE, flow), warp(IMAGE, flow)
    np.testing.assert_allclose(ours[:, 2:, :5], usual[:, 2:, :5], atol=1e-6)
    assert not ours[:, :2].any()
    assert not ours[:, :, 6:].any()


def test_weights_count_and_everything_has_a_gradient():
    np.testing.assert_allclose(deformable_conv(IMAGE, STILL, 0.5 * WHOLE, KERNEL), convolved(IMAGE) / 2, atol=1e-5)
    offset = jnp.asarray(RANDOM.uniform(-2, 2, STILL.shape), jnp.float32)
    grads = jax.grad(lambda *given: deformable_conv(*given, KERNEL).sum(), argnums=(0, 1, 2))(IMAGE, offset, WHOLE)
    assert all(np.isfinite(grad).all() and np.abs(grad).max() > 0 for grad in grads)


@pytest.mark.parametrize(
    ("offset", "kernel", "words"),
    [
        (STILL[..., :4, :, :], KERNEL, "got 4 for 3 x 3"),
        (STILL[..., :4, :, :], KERNEL[:2, :2], "kernel of odd sides, got 4 for 2 x 2"),
        (jnp.zeros((2, 6, 7, 9, 3, 2)), KERNEL, "groups that divide 4 channels, got 3"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(offset, kernel, words):
    with pytest.raises(ValueError, match=words):
        deformable_conv(IMAGE, offset, jnp.ones(offset.shape[:-1]), kernel)

"""Warping is that of scipy, and the flow found between an image and a moved one is the motion."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage

from jaxgan.layers.warping import find_flow, warp


def waves(height, width, right=0.0, down=0.0):
    """A smooth image `[1,h,w,1]`, moved by so many pixels."""
    y, x = np.mgrid[:height, :width] - np.array([down, right])[:, None, None]
    image = np.sin(0.35 * x + 0.1 * y) + np.cos(0.3 * y - 0.12 * x) + 0.5 * np.sin(0.2 * (x + y))
    return jnp.asarray(0.3 * image[None, ..., None], jnp.float32)


def test_warping_is_that_of_scipy():
    rng = np.random.default_rng(0)
    image, flow = rng.normal(size=(2, 7, 5, 3)).astype(np.float32), rng.normal(0, 3, (2, 7, 5, 2)).astype(np.float32)
    made = warp(jnp.asarray(image), jnp.asarray(flow))
    places = np.mgrid[:7, :5]
    for row in range(2):
        at = (places[0] + flow[row, ..., 1], places[1] + flow[row, ..., 0])
        for channel in range(3):
            expected = ndimage.map_coordinates(image[row, ..., channel], at, order=1, mode="nearest")
            np.testing.assert_allclose(made[row, ..., channel], expected, atol=2e-5)


def test_warping_has_the_derivative_of_its_differences():
    image, flow = waves(6, 6), jnp.full((1, 6, 6, 2), 0.3)
    total, step = jax.jit(lambda image, by: warp(image, flow + by).sum()), 1e-2
    of_image, of_flow = jax.jit(jax.grad(total, (0, 1)))(image, 0.0)
    np.testing.assert_allclose(of_flow, (total(image, step) - total(image, -step)) / (2 * step), rtol=1e-2)
    np.testing.assert_allclose(of_image.sum(), 36, rtol=1e-5)


def test_flow_is_the_motion_of_an_image_that_moved_by_several_pixels():
    now, before = waves(32, 32, right=3.0, down=-1.5), waves(32, 32)
    found = jax.jit(find_flow)(now, before)
    flow = np.asarray(found)[0, 8:-8, 8:-8]
    np.testing.assert_allclose(flow[..., 0].mean(), -3.0, atol=0.1)  # where the pixel was
    np.testing.assert_allclose(flow[..., 1].mean(), 1.5, atol=0.1)
    inside = (0, slice(8, -8), slice(8, -8))
    left = np.abs(warp(before, found) - now)[inside].mean()
    assert left < 0.1 * np.abs(before - now)[inside].mean()


def test_nothing_moves_where_nothing_is_seen():
    grey = jnp.full((1, 9, 16, 1), 0.2)
    np.testing.assert_array_equal(jax.jit(find_flow)(grey, grey), 0)

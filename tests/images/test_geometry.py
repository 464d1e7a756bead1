"""Warping against scipy and closed forms; what needs no interpolation is exact."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import interpolate, ndimage

from jaxgan.images.draws import Draw, draw
from jaxgan.images.geometry import TRANSFORMS, compose, pick, reflected, shifted_and_flipped, warp

N = 16
IMAGES = jax.random.normal(jax.random.key(0), (4, N, N, 2))
CENTRE = (N - 1) / 2


def maps_of(name, uniform, normal, strength, size=N):
    """The maps of one transform that hits, from given random numbers of one image."""
    numbers = Draw(jnp.array([True]), jnp.array(uniform)[:, None], jnp.array(normal)[:, None])
    return TRANSFORMS[name](numbers, strength, size)


def for_all(maps):
    return jnp.broadcast_to(maps, (4, 3, 3))


@pytest.mark.quick
@pytest.mark.parametrize("size", [1, 2, 5])
def test_indices_are_reflected_as_numpy_pads(size):
    padded = np.pad(np.arange(size), 7, mode="reflect" if size > 1 else "edge")
    np.testing.assert_array_equal(reflected(jnp.arange(-7, size + 7), size), padded)


@pytest.mark.parametrize("quarter", range(4))
def test_a_quarter_turn_is_exact(quarter):
    maps = maps_of("rotate90", [quarter / 4 + 0.1, 0.0], [0.0] * 4, 1.0)
    turned = [np.rot90(IMAGES, k=-quarter, axes=(1, 2))]
    np.testing.assert_array_equal(warp(IMAGES, for_all(maps)), turned[0])


def test_a_flip_is_exact_and_left_to_right():
    maps = maps_of("xflip", [0.3, 0.0], [0.0] * 4, 1.0)
    np.testing.assert_array_equal(warp(IMAGES, for_all(maps)), IMAGES[:, :, ::-1])
    maps = maps_of("xflip", [0.6, 0.0], [0.0] * 4, 1.0)
    np.testing.assert_array_equal(warp(IMAGES, for_all(maps)), IMAGES)


def test_a_whole_shift_is_exact_and_mirrors_what_moves_in():
    maps = maps_of("xint", [0.0, 1.0], [0.0] * 4, 0.25)  # by -4 on x, +4 on y
    mirrored = np.pad(IMAGES, ((0, 0), (4, 0), (0, 4), (0, 0)), mode="reflect")
    np.testing.assert_array_equal(warp(IMAGES, for_all(maps)), mirrored[:, :N, 4:])


def test_a_fractional_shift_is_the_hermite_spline_through_the_pixels():
    maps = maps_of("xfrac", [0.0] * 2, [0.3, 0.0, 0.0, 0.0], 0.125)
    row = np.pad(np.asarray(IMAGES[0, 3, :, 1], np.float64), 4, mode="reflect")
    places = np.arange(-4, N + 4)
    slopes = np.gradient(row)
    spline = interpolate.CubicHermiteSpline(places, row, slopes)
    expected = spline(np.arange(N) - 0.3 * 0.125 * N)
    np.testing.assert_allclose(warp(IMAGES, for_all(maps))[0, 3, :, 1], expected, atol=1e-5)


@pytest.mark.parametrize("angle", [0.2, 1.0, -2.5])
def test_a_rotation_of_a_smooth_image_agrees_with_scipy(angle):
    smooth = ndimage.gaussian_filter(np.asarray(IMAGES[0, :, :, 0], np.float64), 2.0, mode="mirror")
    maps = maps_of("rotate", [(angle / np.pi + 1) / 2, 0.0], [0.0] * 4, 1.0)
    ours = warp(jnp.asarray(smooth, jnp.float32)[None, :, :, None], maps)[0, :, :, 0]
    # clockwise as seen, y pointing down: the place read turns the other way
    back = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])  # on (y, x)
    offset = CENTRE - back @ np.array([CENTRE, CENTRE])
    expected = ndimage.affine_transform(smooth, back, offset, order=3, mode="mirror")
    np.testing.assert_allclose(ours, expected, atol=0.03 * np.abs(smooth).max())


@pytest.mark.parametrize(("name", "factors"), [("scale", (2.0, 2.0)), ("aniso", (2.0, 0.5))])
def test_sizes_on_a_parabola_are_exact(name, factors):
    maps = maps_of(name, [0.0] * 2, [5.0, 0.0, 0.0, 0.0], 0.2)
    y, x = np.meshgrid(np.arange(N) - CENTRE, np.arange(N) - CENTRE, indexing="ij")
    parabola = lambda x, y: 0.1 * x * x - 0.05 * x * y + 0.02 * y * y + y  # noqa: E731
    image = jnp.asarray(parabola(x, y), jnp.float32)[None, :, :, None]
    inner = slice(6, 10)  # cubic convolution is exact on parabolas, away from the mirrors
    expected = parabola(x / factors[0], y / factors[1])
    np.testing.assert_allclose(warp(image, maps)[0, inner, inner, 0], expected[inner, inner], atol=1e-4)


def test_transforms_follow_one_another_in_their_order():
    draws = {"rotate90": None, "xint": None}
    quarter = Draw(jnp.array([True]), jnp.array([[0.3], [0.0]]), jnp.zeros((4, 1)))
    move = Draw(jnp.array([True]), jnp.array([[1.0], [0.5]]), jnp.zeros((4, 1)))
    draws = {"xint": move, "rotate90": quarter}  # the order of the draws does not matter
    maps = compose(draws, {"rotate90": 1.0, "xint": 0.25}, N)
    turned = np.rot90(IMAGES, k=-1, axes=(1, 2))
    moved = np.pad(turned, ((0, 0), (0, 0), (4, 0), (0, 0)), mode="reflect")[:, :, :N]
    np.testing.assert_array_equal(warp(IMAGES, for_all(maps)), moved)


def test_the_warp_is_linear_and_its_derivative_the_transpose():
    draws = draw(jax.random.key(3), {"rotate": 1.0, "aniso": 1.0, "xfrac": 1.0}, 4)
    maps = compose(draws, {"rotate": 1.0, "aniso": 0.2, "xfrac": 0.125}, N)
    other = jax.random.normal(jax.random.key(4), IMAGES.shape)
    warped, pull_back = jax.vjp(lambda x: warp(x, maps), IMAGES)
    np.testing.assert_allclose((warped * other).sum(), (IMAGES * pull_back(other)[0]).sum(), rtol=1e-3)


def test_picking_reads_rows_and_columns_of_each_image():
    rows, columns = jnp.array([[0, 2], [1, 1], [3, 0], [2, 2]]), jnp.array([[5], [4], [3], [2]])
    expected = np.stack([np.asarray(IMAGES)[i][np.ix_(rows[i], columns[i])] for i in range(4)])
    np.testing.assert_array_equal(pick(IMAGES, rows, columns), expected)


def test_shifts_and_flips_are_those_of_padded_images_and_reach_their_limit():
    images = jnp.broadcast_to(IMAGES[:1], (200, N, N, 2))
    out = np.asarray(shifted_and_flipped(jax.random.key(1), images, 2))
    padded = np.pad(IMAGES[0], ((2, 2), (2, 2), (0, 0)), mode="reflect")
    crops = [padded[y : y + N, x : x + N] for y in range(5) for x in range(5)]
    choices = np.stack([each for crop in crops for each in (crop, crop[:, ::-1])])
    hits = (out[:, None] == choices[None]).all((2, 3, 4))
    assert (hits.sum(1) == 1).all()
    assert hits.any(0).sum() > 45  # of 50; all but a few come up in 200
    assert 70 < hits[:, ::2].sum() < 130

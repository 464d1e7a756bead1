"""Filters of bands, noise, cut-outs."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage

from jaxgan.augment.corruption import band_filters, band_matrices, cut_out, filtered, noisy
from jaxgan.images.draws import Draw

IMAGES = jax.random.normal(jax.random.key(0), (2, 16, 16, 3))


def hit(count=2, uniform=0.0, normal=0.0, active=True):
    return Draw(jnp.full(count, active), jnp.full((2, count), uniform), jnp.full((4, count), normal))


def test_the_bands_sum_to_the_unit_impulse_and_each_passes_its_octave():
    bands = band_filters()
    assert bands.shape == (4, 43)
    np.testing.assert_allclose(bands.sum(0), np.eye(1, 43, 21)[0], atol=1e-12)
    np.testing.assert_allclose(bands, bands[:, ::-1], atol=1e-12)
    frequencies = np.pi * np.array([0.02, 0.18, 0.37, 0.95])  # inside each octave
    responses = bands @ np.cos(np.outer(np.arange(43) - 21, frequencies))
    assert (responses.argmax(0) == np.arange(4)).all()
    assert (np.diag(responses) > 0.7).all()


def test_matrices_filter_as_scipy_does_on_mirrored_rows():
    row = np.asarray(IMAGES[0, 0, :, 0], np.float64)
    for filter_, matrix in zip(band_filters(), band_matrices(16)):
        np.testing.assert_allclose(matrix @ row, ndimage.correlate1d(row, filter_, mode="mirror"), atol=1e-5)


def test_equal_gains_change_nothing_and_a_strong_band_leaves_less_to_the_others():
    still, strong = hit(), hit(normal=1.0)
    constant = jnp.ones((2, 16, 16, 1))
    np.testing.assert_allclose(filtered([still] * 4, 1.0, IMAGES), IMAGES, atol=1e-5)
    # band 3 twice as strong: the power 1/13 counts four times, so a constant, band 0, shrinks on both axes
    expected = 1.0 / (12 / 13 + 4 / 13)
    np.testing.assert_allclose(filtered([still] * 3 + [strong], 1.0, constant), expected * constant, rtol=1e-4)
    missed = hit(normal=1.0, active=False)
    np.testing.assert_array_equal(filtered([missed] * 4, 1.0, IMAGES), IMAGES)


def test_noise_has_its_standard_deviation():
    images = jnp.zeros((2, 64, 64, 3))
    deviation = np.asarray(noisy(hit(normal=-1.5), 0.1, jax.random.key(0), images)).std(axis=(1, 2, 3))
    np.testing.assert_allclose(deviation, 0.15, rtol=0.03)
    np.testing.assert_array_equal(noisy(hit(normal=1.0, active=False), 0.1, jax.random.key(0), images), images)


def test_a_cut_out_is_a_square_of_half_a_side_clipped_at_the_border():
    centred = np.asarray(cut_out(hit(uniform=0.5), 0.5, IMAGES))
    hole = np.zeros((16, 16), bool)
    hole[4:12, 4:12] = True
    np.testing.assert_array_equal(centred[:, hole], 0.0)
    np.testing.assert_array_equal(centred[:, ~hole], IMAGES[:, ~hole])
    corner = np.asarray(cut_out(hit(uniform=0.0), 0.5, IMAGES))
    assert (corner == 0.0).sum() == 2 * 4 * 4 * 3

"""Unsharp masking against OpenCV."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.augment.real_esrgan import RealESRGAN
from jaxgan.augment.sharpening import sharpened

Y, X = np.mgrid[:40, :44]
SQUARES, NOISE, WAVES = ((X // 7 + Y // 9) % 2) * 0.6 + 0.2, (X * Y % 23) / 22, np.sin(X / 5) * 0.45 + 0.5
IMAGE = jnp.asarray(2 * np.stack([SQUARES, NOISE, WAVES], 2) - 1, jnp.float32)[None]


@pytest.mark.quick
def test_it_is_what_opencvs_gaussian_of_51_pixels_gives():
    """Numbers of cv2.GaussianBlur(image, (51, 51), 0) 5.0: weight 0.5, threshold 10 of 255, the mask blurred too."""
    pixels = (np.asarray(sharpened(IMAGE), np.float64)[0] + 1) / 2
    expected = {
        (0, 0): [0.073914, 0.0, 0.384106],
        (3, 43): [0.035365, 0.697294, 0.858941],
        (20, 21): [0.950015, 0.180959, 0.011071],
        (39, 30): [0.050644, 0.992942, 0.324696],
    }
    for place, values in expected.items():
        np.testing.assert_allclose(pixels[place], values, atol=2e-6)
    np.testing.assert_allclose([pixels.mean(), pixels.std()], [0.5214299, 0.4053365], atol=1e-6)


@pytest.mark.quick
def test_flat_images_and_faint_noise_stay_as_they_are():
    faint = jnp.where((X + Y) % 2, 0.05, -0.05)[None, :, :, None]  # 6 grey levels from the mean
    np.testing.assert_allclose(sharpened(faint), faint, atol=1e-6)
    np.testing.assert_allclose(sharpened(jnp.full((2, 3, 1, 1), 0.3)), 0.3, atol=1e-6)


@pytest.mark.slow
def test_real_esrgan_can_degrade_the_sharpened_image():
    images, key = jnp.tile(IMAGE[:, :, :40], (2, 1, 1, 1)), jax.random.key(0)
    plain, sharp = RealESRGAN(scale=2), RealESRGAN(scale=2, sharpen=True)
    assert plain.label == "realesrgan_x2"
    assert sharp.label != plain.label
    degraded = jax.jit(sharp.__call__)(key, images)
    np.testing.assert_allclose(degraded, jax.jit(plain.__call__)(key, sharpened(images)), atol=0.02)
    assert np.abs(degraded - jax.jit(plain.__call__)(key, images)).mean() > 0.05

"""PSNR and SSIM against scikit-image, MS-SSIM against scipy's filters and in closed forms."""

import numpy as np
import pytest
from scipy import ndimage
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from jaxgan.metrics.image_quality import _prepared, ms_ssim, psnr, ssim


def pair(height=20, width=23, channels=3, count=2, seed=0):
    """Smooth pictures and noisy copies of them, uint8."""
    random = np.random.default_rng(seed)
    smooth = ndimage.zoom(random.uniform(0, 255, (count, 5, 5, channels)), (1, height / 5, width / 5, 1), order=1)
    noisy = smooth + random.normal(0, 20, smooth.shape)
    return tuple(np.rint(images.clip(0, 255)).astype(np.uint8) for images in (noisy, smooth))


def in_unit(images):
    return images.astype(np.float32) / 127.5 - 1


@pytest.mark.quick
@pytest.mark.parametrize("border", [0, 4])
def test_psnr_is_scikit_images(border):
    restored, original = pair()
    cut = slice(border, -border or None)
    expected = [peak_signal_noise_ratio(o[cut, cut], r[cut, cut]) for r, o in zip(restored, original)]
    np.testing.assert_allclose(psnr(restored, original, data_range=255, border=border), expected, rtol=1e-12)
    np.testing.assert_allclose(psnr(in_unit(restored), in_unit(original), border=border), expected, rtol=1e-6)


def test_psnr_of_luma_is_that_of_scikit_images_y():
    restored, original = pair()
    expected = [
        peak_signal_noise_ratio(*(rgb2ycbcr(image)[..., 0] for image in images), data_range=255)
        for images in zip(original, restored)
    ]
    np.testing.assert_allclose(psnr(in_unit(restored), in_unit(original), luma=True), expected, rtol=1e-6)


def test_psnr_of_equal_pictures_is_infinite():
    restored, _ = pair()
    assert (psnr(in_unit(restored), in_unit(restored)) == np.inf).all()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({}, {}),
        ({"window": "gaussian"}, {"gaussian_weights": True}),
        (
            {"window": "gaussian", "sample_covariance": False},
            {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False},
        ),
    ],
)
def test_ssim_is_scikit_images(channels, ours, theirs):
    restored, original = pair(channels=channels)
    expected = [structural_similarity(o, r, channel_axis=-1, **theirs) for r, o in zip(restored, original)]
    np.testing.assert_allclose(ssim(restored, original, data_range=255, **ours), expected, rtol=1e-10)
    np.testing.assert_allclose(ssim(in_unit(restored), in_unit(original), **ours), expected, rtol=1e-5)
    assert 0.1 < np.min(expected) < np.max(expected) < 0.95


def test_ssim_of_luma_without_a_border():
    restored, original = pair()
    expected = [
        structural_similarity(*(rgb2ycbcr(image[2:-2, 2:-2])[..., 0] for image in images), data_range=255)
        for images in zip(original, restored)
    ]
    scores = ssim(restored, original, data_range=255, border=2, luma=True)
    np.testing.assert_allclose(scores, expected, rtol=1e-10)


def multi_scale(first, second):
    """The authors' procedure for one channel in [0, 1], with scipy's filters."""
    terms = []
    for scale in range(5):
        means = [
            ndimage.gaussian_filter(image, 1.5, truncate=3.5)[5:-5, 5:-5]
            for image in (first, second, first * first, second * second, first * second)
        ]
        variances = [means[2] - means[0] ** 2, means[3] - means[1] ** 2, means[4] - means[0] * means[1]]
        luminance = (2 * means[0] * means[1] + 1e-4) / (means[0] ** 2 + means[1] ** 2 + 1e-4)
        structure = (2 * variances[2] + 9e-4) / (variances[0] + variances[1] + 9e-4)
        terms.append((luminance * structure if scale == 4 else structure).mean())
        first, second = (
            ndimage.uniform_filter(image, 2, mode="reflect", origin=-1)[::2, ::2] for image in (first, second)
        )
    return np.prod(np.power(terms, [0.0448, 0.2856, 0.3001, 0.2363, 0.1333]))


@pytest.mark.parametrize("size", [(161, 170), (176, 192)])
def test_ms_ssim_is_the_authors_procedure(size):
    restored, original = pair(*size, channels=2)
    images = restored / 255, original / 255
    expected = [np.mean([multi_scale(images[0][i, ..., c], images[1][i, ..., c]) for c in range(2)]) for i in range(2)]
    np.testing.assert_allclose(ms_ssim(restored, original, data_range=255), expected, rtol=1e-10)
    np.testing.assert_allclose(ms_ssim(in_unit(restored), in_unit(original)), expected, rtol=1e-5)
    assert np.max(expected) < 0.99


def test_flat_pictures_differ_in_luminance_only():
    first, second = (np.full((1, 161, 161, 1), value) for value in (0.3, 0.5))
    luminance = (2 * 0.3 * 0.5 + 1e-4) / (0.3**2 + 0.5**2 + 1e-4)
    np.testing.assert_allclose(ssim(first, second, data_range=1), luminance, rtol=1e-9)
    np.testing.assert_allclose(ms_ssim(first, second, data_range=1), luminance**0.1333, rtol=1e-9)
    np.testing.assert_allclose(ms_ssim(first, first, data_range=1), 1)


def test_an_inverted_picture_has_no_multi_scale_similarity():
    original = pair(161, 161, channels=1, count=1)[1]
    assert ssim(255 - original, original, data_range=255)[0] < 0
    assert ms_ssim(255 - original, original, data_range=255)[0] == 0


def test_incomparable_pictures_raise():
    images = np.zeros((1, 16, 20, 3))
    with pytest.raises(ValueError, match=r"got pictures of 16 x 20, expected at least 161 pixels"):
        ms_ssim(images, images)
    with pytest.raises(ValueError, match=r"got pictures of 6 x 10, expected at least 7 pixels"):
        ssim(images, images, border=5)
    with pytest.raises(ValueError, match=r"got pictures of 10 x 14, expected at least 11 pixels"):
        ssim(images, images, border=3, window="gaussian")
    with pytest.raises(ValueError, match="border: got 8, expected"):
        psnr(images, images, border=8)
    with pytest.raises(ValueError, match="expected equal shapes"):
        _prepared(images, images[:, :, :16], None, 0, False)  # psnr's types refuse them first, where they are checked
    with pytest.raises(ValueError, match="expected 3 for luma"):
        psnr(images[..., :1], images[..., :1], luma=True)
    with pytest.raises(ValueError, match="data_range is missing"):
        psnr(images.astype(np.uint8), images.astype(np.uint8))

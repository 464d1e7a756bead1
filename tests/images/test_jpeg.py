"""JPEG against Pillow's."""

import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from scipy import fft, ndimage
from skimage.data import chelsea

from jaxgan.errors import UserError
from jaxgan.images.jpeg import cosine_transform, jpeg, quality_tables


def picture(height, width, channels=3, seed=0):
    """Smooth colours, edges and a little noise."""
    random = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(random.normal(size=(height, width, channels)), (6, 6, 0))
    edges = np.where(ndimage.gaussian_filter(random.normal(size=(height, width, 1)), (4, 4, 0)) > 0, 40.0, -40.0)
    levels = 127 + 60 * smooth / smooth.std() + edges + 3 * random.normal(size=smooth.shape)
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)


def as_images(array):
    return jnp.asarray(array.reshape(*array.shape[:2], -1), jnp.float32)[None] / 127.5 - 1


def saved_and_read(array, **options):
    file = io.BytesIO()
    Image.fromarray(array.squeeze()).save(file, "JPEG", **options)
    with Image.open(io.BytesIO(file.getvalue())) as image:
        return np.asarray(image, np.float64).reshape(array.shape), image.quantization


coded = jax.jit(jpeg, static_argnames="subsampling")


@pytest.mark.parametrize(("height", "width", "channels"), [(48, 64, 3), (41, 51, 3), (41, 51, 1)])
@pytest.mark.parametrize("quality", [10, 30, 75, 95])
def test_the_decoded_image_is_pillows(height, width, channels, quality):
    image = picture(height, width, channels)
    expected, _ = saved_and_read(image, quality=quality)
    levels = (np.asarray(coded(as_images(image), quality))[0] + 1) * 127.5
    np.testing.assert_allclose(levels, np.rint(levels), atol=1e-3)
    difference = np.abs(levels - expected)
    assert difference.mean() < 1.2  # on pictures busier than photographs
    assert difference.mean() < 0.5 * np.abs(expected - image).mean()


@pytest.mark.parametrize("quality", [10, 30, 75, 95])
def test_of_a_photograph_the_decoded_image_is_pillows(quality):
    photograph = chelsea()[100:148, 120:184]  # eyes and fur
    expected, _ = saved_and_read(photograph, quality=quality)
    levels = (np.asarray(coded(as_images(photograph), quality))[0] + 1) * 127.5
    difference = np.abs(levels - expected)
    assert difference.mean() < 0.65
    assert difference.max() < 12
    assert (difference > 1.5).mean() < 0.1
    assert difference.mean() < 0.3 * np.abs(expected - photograph).mean()


def test_without_subsampling_colour_keeps_its_resolution():
    image = picture(48, 64)
    expected, _ = saved_and_read(image, quality=90, subsampling=0)
    levels = (np.asarray(coded(as_images(image), 90, subsampling=False))[0] + 1) * 127.5
    assert np.abs(levels - expected).mean() < 0.5


def test_tables_are_those_in_pillows_files():
    qualities = [1, 10, 49, 50, 51, 75, 100]
    ours = np.asarray(quality_tables(jnp.array(qualities)))
    for index, quality in enumerate(qualities):
        _, tables = saved_and_read(picture(16, 16), quality=quality)
        np.testing.assert_array_equal(ours[:, index], [tables[0], tables[1]])


def test_the_transform_is_scipys():
    block = np.random.default_rng(0).normal(size=(8, 8))
    np.testing.assert_allclose(cosine_transform() @ block.ravel(), fft.dctn(block, norm="ortho").ravel(), atol=1e-5)


def test_every_image_has_its_own_quality():
    image = as_images(picture(16, 16))
    both = coded(jnp.concatenate([image, image]), jnp.array([20, 90]))
    np.testing.assert_allclose(both[:1], coded(image, jnp.array([20])), atol=1e-5)
    np.testing.assert_allclose(both[1:], coded(image, jnp.array([90])), atol=1e-5)
    errors = np.abs(np.asarray(both - image)).mean((1, 2, 3))
    assert errors[0] > 2 * errors[1]


def test_the_derivative_passes_rounding():
    image = 0.5 * as_images(picture(16, 16))  # nothing is clipped
    other = jax.random.normal(jax.random.key(0), image.shape)
    slope = jax.jit(jax.grad(lambda x: (jpeg(x, 50, subsampling=False) * other).sum()))(image)
    np.testing.assert_allclose(slope, other, atol=1e-4)  # all the rest is orthogonal or its own inverse
    smooth = jax.jit(jax.grad(lambda x: (jpeg(x, 50) * other).sum()))(image)
    assert np.isfinite(smooth).all()
    assert np.abs(smooth).mean() > 0.1


def test_other_channels_are_refused():
    with pytest.raises(UserError, match="4 channels"):
        jpeg(jnp.zeros((1, 8, 8, 4)), 50)

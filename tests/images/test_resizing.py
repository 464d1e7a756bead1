"""Resizing against Pillow's, and sizes of their own against one size for all."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxgan.images.resizing import Patches, resize, resize_each, weights


def pixels(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def as_images(array):
    return jnp.asarray(array, jnp.float32)[None] / 127.5 - 1


def as_levels(images):
    return (np.asarray(images)[0] + 1) * 127.5


@pytest.mark.parametrize(
    ("old", "new"),
    [((24, 36), (12, 18)), ((24, 36), (48, 72)), ((17, 23), (5, 40)), ((96, 96), (24, 24)), ((1, 2), (3, 1))],
)
@pytest.mark.parametrize("method", ["bicubic", "bilinear", "nearest"])
def test_antialiased_resizing_is_pillows_to_one_grey_level(old, new, method):
    # what is not clipped between the axes does not depend on their order, which is another in Pillow 13
    image = pixels(*old) // 2 + 64 if old == (17, 23) else pixels(*old)
    expected = Image.fromarray(image).resize(new[::-1], Image.Resampling[method.upper()])
    ours = np.rint(as_levels(resize(as_images(image), *new, method=method, clip=True)))
    difference = np.abs(ours - np.asarray(expected, np.float64))
    assert difference.max() <= 1
    assert difference.mean() < 0.3


def test_area_is_the_mean_of_what_is_covered():
    image = pixels(12, 15)
    whole = as_levels(resize(as_images(image), 4, 5, method="area"))
    np.testing.assert_allclose(whole, image.reshape(4, 3, 5, 3, 3).mean((1, 3)), atol=1e-3)
    share = weights(2, 3, 2, 3, method="area", antialias=True)  # one and a half pixels each
    np.testing.assert_allclose(share, [[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]], atol=1e-12)


def test_without_antialiasing_shrinking_reads_four_pixels_by_opencvs_cubic():
    share = weights(4, 16, 4, 16, method="bicubic", antialias=False)
    assert (np.abs(share) > 1e-12).sum(1).max() == 4
    np.testing.assert_allclose(share[1, 4:8], [-0.09375, 0.59375, 0.59375, -0.09375], atol=1e-12)
    double = weights(16, 8, 16, 8, method="bicubic", antialias=False)[5]  # at 2.25 pixels
    np.testing.assert_allclose(double[1:5], [-0.10546875, 0.87890625, 0.26171875, -0.03515625], atol=1e-12)


# rows of torch.nn.functional.interpolate(mode="bicubic", align_corners=False) 2.13 on the unit vectors, in float64;
# cv2.resize(interpolation=INTER_CUBIC) 5.0 has the same to its own 1e-6
BORDER = {
    (8, 4): {
        0: [1.10546875, -0.10546875, 0.0, 0.0],
        1: [0.7734375, 0.26171875, -0.03515625, 0.0],
        7: [0.0, 0.0, -0.10546875, 1.10546875],
    },
    (4, 8): {0: [0.5, 0.59375, -0.09375, 0, 0, 0, 0, 0], 3: [0, 0, 0, 0, 0, -0.09375, 0.59375, 0.5]},
    (5, 7): {0: [0.824, 0.2, -0.024, 0, 0, 0, 0], 1: [-0.072, 0.46, 0.72, -0.108, 0, 0, 0]},
    (7, 3): {0: [1.10932945, -0.10932945, 0.0], 1: [0.87900875, 0.13411079, -0.01311953]},
    (3, 1): {0: [1.0], 2: [1.0]},
}


@pytest.mark.quick
@pytest.mark.parametrize(("new", "old"), BORDER)
def test_cubic_without_antialiasing_reads_the_pixel_at_the_border_as_torch_and_opencv_do(new, old):
    share = weights(new, old, new, old, method="bicubic", antialias=False)
    for row, expected in BORDER[new, old].items():
        np.testing.assert_allclose(share[row], expected, atol=1e-7)
    np.testing.assert_allclose(share, share[::-1, ::-1], atol=1e-12)


# of the other filters torch's rows are these: the taps left out at the border are as good as clamped ones
# (bilinear), or left out by torch too (antialias=True)
OTHERS = {
    ("bilinear", False): {0: [0.8, 0.2, 0, 0, 0, 0, 0], 1: [0, 0.4, 0.6, 0, 0, 0, 0]},
    ("bilinear", True): {0: [2 / 3, 1 / 3, 0, 0, 0, 0, 0], 1: [0, 4 / 9, 5 / 9, 0, 0, 0, 0]},
    ("bicubic", True): {
        0: [0.70932755, 0.34490239, -0.05422993, 0, 0, 0, 0],
        1: [-0.03726708, 0.4679089, 0.59006211, 0, -0.02070393, 0, 0],
    },
}


@pytest.mark.quick
@pytest.mark.parametrize(("method", "antialias"), OTHERS)
def test_the_other_filters_are_torchs_at_the_border_too(method, antialias):
    share = weights(5, 7, 5, 7, method=method, antialias=antialias)
    for row, expected in OTHERS[method, antialias].items():
        np.testing.assert_allclose(share[row], expected, atol=1e-7)


METHODS = ("area", "bilinear", "bicubic", "nearest")


@partial(jax.jit, static_argnames="antialias")
def each(patches, height, width, choice, antialias):
    return resize_each(patches, height, width, canvas=(20, 18), methods=METHODS, choice=choice, antialias=antialias)


@pytest.mark.parametrize("antialias", [False, True])
def test_a_size_for_every_image_is_what_each_alone_would_become(antialias):
    sizes_in, sizes_out = [(12, 9), (10, 14), (7, 7), (12, 14)], [(5, 18), (20, 3), (1, 1), (12, 14)]
    canvas = np.full((4, 12, 14, 3), 1e3, np.float32)  # what lies beyond an image must not be read
    images = [np.asarray(as_images(pixels(*size, seed))) for seed, size in enumerate(sizes_in)]
    for row, image, (height, width) in zip(canvas, images, sizes_in):
        row[:height, :width] = image
    patches = Patches(jnp.asarray(canvas), *jnp.array(sizes_in).T)
    out = each(patches, *jnp.array(sizes_out).T, jnp.arange(4), antialias=antialias)
    np.testing.assert_array_equal(np.stack([out.height, out.width], 1), sizes_out)
    for got, image, method, (height, width) in zip(np.asarray(out.canvas), images, METHODS, sizes_out):
        alone = resize(jnp.asarray(image), height, width, method=method, antialias=antialias)
        beyond = np.pad(alone[0], ((0, 20 - height), (0, 18 - width), (0, 0)), mode="edge")
        np.testing.assert_allclose(got, beyond, atol=2e-5)

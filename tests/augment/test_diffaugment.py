"""DiffAugment: ranges of its transforms, exact moves, gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.augment.diffaugment import DiffAugment
from jaxgan.errors import UserError

KEY = jax.random.key(1)
IMAGES = jax.random.uniform(jax.random.key(0), (300, 16, 16, 3), minval=-1.0)


def test_colours_stay_affine_within_their_ranges():
    out = np.asarray(DiffAugment(("color",))(KEY, IMAGES, 1.0), np.float64)
    images = np.asarray(IMAGES, np.float64)
    grey, luma = images.mean(3), out.mean(3)
    means = grey.mean((1, 2))
    # luma' = mean + contrast (luma - mean) + brightness; colour' = contrast saturation (colour - luma)
    contrast = (luma - luma.mean((1, 2), keepdims=True)).std((1, 2)) / (grey - means[:, None, None]).std((1, 2))
    brightness = luma.mean((1, 2)) - means
    saturation = (out - luma[..., None]).std((1, 2, 3)) / (images - grey[..., None]).std((1, 2, 3)) / contrast
    for values, low, high in ((contrast, 0.5, 1.5), (brightness, -0.5, 0.5), (saturation, 0.0, 2.0)):
        assert values.min() > low - 1e-4
        assert values.max() < high + 1e-4
        assert np.ptp(values) > 0.95 * (high - low)
        assert abs(values.mean() - (low + high) / 2) < 0.08 * (high - low)


def test_others_are_translated_by_the_same_draw_and_only_translated():
    moved = DiffAugment().moved(KEY, IMAGES, 1.0)
    translated = DiffAugment(("translation",))(jax.random.key(2), IMAGES, 1.0, moving_key=KEY)
    np.testing.assert_array_equal(translated, moved)
    assert (moved != IMAGES).any()
    np.testing.assert_array_equal(DiffAugment(("color", "cutout")).moved(KEY, IMAGES, 1.0), IMAGES)


def test_translations_are_crops_of_zero_padded_images_up_to_an_eighth():
    images = jnp.broadcast_to(IMAGES[:1], IMAGES.shape)
    out = np.asarray(DiffAugment(("translation",))(KEY, images, 1.0))
    padded = np.pad(IMAGES[0], ((2, 2), (2, 2), (0, 0)))
    crops = np.stack([padded[y : y + 16, x : x + 16] for y in range(5) for x in range(5)])
    hits = (out[:, None] == crops[None]).all((2, 3, 4))
    assert (hits.sum(1) == 1).all()
    assert (hits.sum(0) > 2).all()


def test_a_cutout_is_at_most_a_quarter_of_the_image():
    out = np.asarray(DiffAugment(("cutout",))(KEY, IMAGES, 1.0))
    holes = (out == 0.0).all(3)
    np.testing.assert_array_equal(out[~holes], np.asarray(IMAGES)[~holes])
    shares = holes.mean((1, 2))
    assert shares.max() == 0.25
    assert shares.min() >= 0.0625


def test_probability_gates_each_image():
    image = jnp.broadcast_to(IMAGES[:1], IMAGES.shape)
    cut = DiffAugment(("cutout",))
    share = (np.asarray(cut(KEY, image, 0.3)) != np.asarray(image)).any((1, 2, 3)).mean()
    assert abs(share - 0.3) < 4 * np.sqrt(0.21 / 300)
    np.testing.assert_array_equal(DiffAugment()(KEY, image, 0.0), image)
    assert float(DiffAugment().probability({}, 5)) == 1.0
    assert DiffAugment().init_memory() == DiffAugment().update({}, jnp.ones(2), batch_size=2, step=0) == {}


@pytest.mark.parametrize(
    "channels", [pytest.param(1, marks=pytest.mark.slow), 3, pytest.param(4, marks=pytest.mark.slow)]
)
def test_the_whole_policy_is_linear_in_the_images(channels):
    a, b = jax.random.normal(jax.random.key(2), (2, 3, 8, 8, channels))
    augment = lambda x: DiffAugment()(KEY, x, 1.0)  # noqa: E731
    zero, tangent = augment(jnp.zeros_like(a)), jax.jvp(augment, (a,), (b,))[1]
    np.testing.assert_allclose(augment(a + b) - augment(a), tangent, atol=1e-5)
    np.testing.assert_allclose(augment(b) - zero, tangent, atol=1e-5)
    gradient = jax.grad(lambda x: jnp.square(jax.grad(lambda y: jnp.tanh(augment(y)).sum())(x)).sum())(a)
    assert np.isfinite(gradient).all()


@pytest.mark.quick
def test_an_unknown_policy_is_told():
    with pytest.raises(UserError, match="colour"):
        DiffAugment(("colour",))

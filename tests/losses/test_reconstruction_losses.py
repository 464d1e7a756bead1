"""Content losses against numpy and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.errors import UserError
from jaxgan.losses import reconstruction
from jaxgan.losses.reconstruction import charbonnier, feature_matching, l1, l2, total_variation

RANDOM = np.random.default_rng(0)
RESTORED, TARGET = (RANDOM.uniform(-1, 1, (2, 3, 4, 3)).astype(np.float32) for _ in range(2))
ERROR = RESTORED.astype(np.float64) - TARGET
AXES = (1, 2, 3)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("l1", np.abs(ERROR).mean(AXES)),
        ("l2", np.square(ERROR).mean(AXES)),
        ("charbonnier", np.sqrt(np.square(ERROR) + 1e-6).mean(AXES)),
    ],
)
def test_closed_form(name, expected):
    loss = getattr(reconstruction, name)
    np.testing.assert_allclose(loss(jnp.asarray(RESTORED), jnp.asarray(TARGET)), expected, rtol=1e-5)


@pytest.mark.parametrize(("name", "norm"), [("masked_l1", np.abs), ("masked_l2", np.square)])
def test_of_masked_losses_the_hole_alone_counts_by_its_area(name, norm):
    mask = np.zeros((2, 3, 4, 1), np.float32)
    mask[0, 1, 2:] = 1
    loss = getattr(reconstruction, name)
    values = loss(jnp.asarray(RESTORED), jnp.asarray(TARGET), jnp.asarray(mask))
    np.testing.assert_allclose(values, [norm(ERROR[0, 1, 2:]).mean(), 0], rtol=1e-5)
    gradients = jax.grad(lambda restored: loss(restored, jnp.asarray(TARGET), jnp.asarray(mask)).sum())(RESTORED)
    np.testing.assert_array_equal(np.asarray(gradients != 0).any(axis=3, keepdims=True), mask > 0)


@pytest.mark.parametrize("loss", [l1, l2, charbonnier])
def test_half_precision_is_compared_in_single(loss):
    restored, target = (jnp.asarray(each, jnp.bfloat16) for each in (RESTORED, TARGET))
    value = loss(restored, target)
    assert value.dtype == jnp.float32
    np.testing.assert_array_equal(value, loss(restored.astype(jnp.float32), target.astype(jnp.float32)))


def test_charbonnier_is_smooth_where_l1_has_its_edge():
    def slope(error, **own):
        images = jnp.full((1, 1, 1, 1), error), jnp.zeros((1, 1, 1, 1))
        return jax.grad(lambda restored: charbonnier(restored, images[1], **own).sum())(images[0])[0, 0, 0, 0]

    assert slope(0.0) == 0
    np.testing.assert_allclose(slope(1e-3), np.sqrt(0.5), rtol=1e-5)  # d / sqrt(d^2 + epsilon^2)
    np.testing.assert_allclose(slope(0.3, epsilon=0.4), 0.6, rtol=1e-5)


def test_total_variation_of_a_ramp():
    rows, columns = jnp.mgrid[:5, :4]
    ramp = (3.0 * rows - 0.5 * columns)[None, :, :, None]
    pictures = jnp.concatenate([ramp, jnp.full_like(ramp, 0.7)])
    np.testing.assert_allclose(total_variation(pictures), [3.5, 0])
    np.testing.assert_allclose(total_variation(pictures[:, :1]), [0.5, 0])
    np.testing.assert_allclose(total_variation(pictures[:, :1, :1]), [0, 0])


def test_features_are_matched_layer_by_layer():
    fake = (jnp.asarray(RESTORED), jnp.asarray(RESTORED[:, 0, 0]))
    real = (jnp.asarray(TARGET), jnp.asarray(TARGET[:, 0, 0]))
    expected = (np.abs(ERROR).mean(AXES) + np.abs(ERROR[:, 0, 0]).mean(1)) / 2
    np.testing.assert_allclose(feature_matching(fake, real), expected, rtol=1e-5)
    by_fake, by_real = jax.grad(lambda f, r: feature_matching(f, r).sum(), (0, 1))(fake, real)
    assert all((slope == 0).all() for slope in by_real)
    np.testing.assert_allclose(np.abs(by_fake[1]), 1 / 6, rtol=1e-5)


def test_a_discriminator_without_features_is_told():
    with pytest.raises(UserError, match="shows no features"):
        feature_matching(None, None)

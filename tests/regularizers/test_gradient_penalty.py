"""Gradient penalties of critics whose gradients are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.game import Critic
from jaxgan.regularizers import gradient_penalty
from jaxgan.regularizers.gradient_penalty import dragan, r1, r2, wgan_gp

KEY = jax.random.key(0)
WEIGHT = jax.random.normal(jax.random.key(1), (4, 4, 1))
REAL, FAKE = jax.random.normal(jax.random.key(2), (2, 6, 4, 4, 1))
SQUARE = float((WEIGHT**2).sum())


def linear(image):
    return jnp.einsum("bhwc,hwc->b", image, WEIGHT)


def quadratic(image):
    return 0.5 * jnp.square(image).sum((1, 2, 3))


@pytest.mark.quick
@pytest.mark.parametrize("penalty", [r1, r2])
def test_a_linear_critic_pays_its_squared_norm(penalty):
    np.testing.assert_allclose(penalty(linear, REAL, KEY, gamma=2.0), [SQUARE] * 6, rtol=1e-5)


@pytest.mark.parametrize("method", ["exact", "finite_difference"])
def test_of_clips_the_norm_is_over_all_frames(method):
    weight = jax.random.normal(jax.random.key(4), (3, 4, 4, 1))
    square, norm = (float(f(jnp.square(weight).sum())) for f in (jnp.asarray, jnp.sqrt))
    clips = jnp.zeros((6 if method == "exact" else 20_000, 3, 4, 4, 1))
    critic = lambda clip: jnp.einsum("bthwc,thwc->b", clip, weight)  # noqa: E731
    tolerance = 1e-5 if method == "exact" else 0.04  # four deviations of the mean of squares of so many slopes
    for penalty in (r1, r2):
        values = penalty(critic, clips, KEY, gamma=2.0, method=method)
        assert values.shape == clips.shape[:1]
        np.testing.assert_allclose(values.mean(), square, rtol=tolerance)
    for penalty in (wgan_gp, dragan):
        values = penalty(critic, clips, clips, KEY, weight=1.0, method=method)
        np.testing.assert_allclose(values.mean(), (norm - 1) ** 2, rtol=2 * tolerance)


def test_r1_is_taken_at_the_reals_and_r2_at_the_fakes():
    squares = [jnp.square(x).sum((1, 2, 3)) for x in (REAL, FAKE)]
    np.testing.assert_allclose(r1(quadratic, real=REAL, key=KEY, gamma=2.0), squares[0], rtol=1e-5)
    np.testing.assert_allclose(r2(quadratic, fake=FAKE, key=KEY, gamma=2.0), squares[1], rtol=1e-5)


@pytest.mark.parametrize(("penalty", "known"), [(r1, "real_logits"), (r2, "fake_logits")])
def test_known_logits_spare_a_forward_where_they_are_exact(penalty, known):
    def alone(image):
        return penalty(linear, image, KEY, gamma=2.0, method="finite_difference")

    def with_known(image):
        logits = linear(2 * image) / 2  # as the loss may have them: not multiplied out in full
        return penalty(linear, image, KEY, gamma=2.0, method="finite_difference", **{known: logits})

    np.testing.assert_allclose(with_known(REAL), alone(REAL), rtol=1e-3)
    for platform, forwards in (("cpu", 1), ("tpu", 2)):
        for function, expected in ((alone, 2), (with_known, forwards)):
            text = jax.jit(function).trace(REAL).lower(lowering_platforms=(platform,)).as_text()
            full = [line for line in text.splitlines() if "dot_general" in line and "HIGHEST, HIGHEST" in line]
            assert len(full) == expected


@pytest.mark.parametrize("penalty", [wgan_gp, dragan])
def test_a_linear_critic_pays_its_distance_from_slope_one(penalty):
    expected = 10.0 * (np.sqrt(SQUARE) - 1) ** 2
    np.testing.assert_allclose(penalty(linear, REAL, FAKE, KEY), [expected] * 6, rtol=1e-4)


def test_dragan_stands_by_a_uniform_share_between_a_real_and_its_noisy_self():
    """How far from the real the penalty was taken, read off a critic whose gradient is the distance."""
    images = jnp.where(jnp.arange(2_000)[:, None, None, None] % 2, 1.0, -1.0) * jnp.ones((2_000, 16, 16, 1))
    critic = lambda x: 50.0 * jnp.square(x - images).sum((1, 2, 3))  # noqa: E731
    penalties = dragan(critic, images, images, KEY)
    distance = (1.0 + np.sqrt(np.asarray(penalties) / 10.0)) / 100.0
    share = distance / (16 * 0.5 * np.sqrt(1 / 3))  # of the whole way, 0.5 deviations times numbers from 0 to 1
    # both lengths have a deviation of 2 % about the mean at 256 pixels
    np.testing.assert_allclose(np.quantile(share, [0.1, 0.25, 0.5, 0.75, 0.9]), [0.1, 0.25, 0.5, 0.75, 0.9], atol=0.04)
    assert share.max() < 1.1


def test_a_unit_critic_pays_nothing_and_has_a_finite_gradient():
    for scale in (1.0, 0.0):
        unit = WEIGHT * scale / np.sqrt(SQUARE)

        def loss(w):
            return wgan_gp(lambda x: jnp.einsum("bhwc,hwc->b", x, w), REAL, FAKE, KEY).mean()

        value, gradient = jax.value_and_grad(loss)(unit)
        assert np.isfinite(gradient).all()
        np.testing.assert_allclose(value, 10.0 * (scale - 1) ** 2, atol=1e-4)


@pytest.mark.parametrize("name", ["r1", "r2", "wgan_gp", "dragan"])
def test_finite_differences_agree_with_the_exact_penalty_on_average(name):
    penalty = getattr(gradient_penalty, name)
    critic, image = lambda x: 0.3 * linear(x), jnp.broadcast_to(REAL[:1], (20_000, 4, 4, 1))
    inputs = lambda image: (image,) if name in ("r1", "r2") else (image, image)  # noqa: E731
    exact = penalty(critic, *inputs(image[:1]), KEY).mean()
    estimates = penalty(critic, *inputs(image), KEY, method="finite_difference")
    error = estimates.std() / np.sqrt(len(estimates))
    assert abs(estimates.mean() - exact) < 4 * error


def test_half_precision_images_are_squared_in_float32():
    steep = lambda x: 300.0 * linear(x)  # noqa: E731
    image = REAL.astype(jnp.float16)
    penalty = r1(lambda x: steep(x.astype(jnp.float32)), image, KEY, gamma=2.0)
    np.testing.assert_allclose(penalty, [9e4 * SQUARE] * 6, rtol=1e-2)


def test_every_leaf_of_a_pytree_of_inputs_counts():
    scales = {"fine": REAL, "coarse": REAL[:, ::2, ::2]}
    critic = lambda x: linear(x["fine"]) + x["coarse"].sum((1, 2, 3))  # noqa: E731
    np.testing.assert_allclose(r1(critic, scales, KEY, gamma=2.0), [SQUARE + 4.0] * 6, rtol=1e-5)


PACK_WEIGHT = jax.random.normal(jax.random.key(3), (32,))
PACK_SQUARE = float((PACK_WEIGHT**2).sum())


def packed(logit):
    """A critic of packs of two; `logit` is of `[packs, 32]`."""
    return Critic(lambda images: logit(images.reshape(-1, 32)), rows=2)


@pytest.mark.parametrize("name", ["r1", "r2", "wgan_gp", "dragan"])
def test_of_a_packed_critic_the_norm_is_that_of_the_whole_pack(name):
    penalty = getattr(gradient_penalty, name)
    inputs = (REAL,) if name in ("r1", "r2") else (REAL, FAKE)
    expected = 0.5 * PACK_SQUARE if name in ("r1", "r2") else 10.0 * (np.sqrt(PACK_SQUARE) - 1) ** 2
    linear_of_packs = packed(lambda packs: packs @ PACK_WEIGHT)
    np.testing.assert_allclose(penalty(linear_of_packs, *inputs, KEY), [expected] * 3, rtol=1e-4)
    if name in ("r1", "r2"):
        values = penalty(packed(lambda packs: 0.5 * jnp.square(packs).sum(1)), REAL, KEY, gamma=2.0)
        np.testing.assert_allclose(values, jnp.square(REAL.reshape(3, -1)).sum(1), rtol=1e-5)


def test_a_pack_between_reals_and_fakes_is_one_point_of_its_line():
    apart = packed(lambda packs: 0.5 * jnp.square(packs[:, :16] - packs[:, 16:]).sum(1))
    values = wgan_gp(apart, jnp.zeros((6, 4, 4, 1)), jnp.ones((6, 4, 4, 1)), KEY)
    np.testing.assert_allclose(values, [10.0] * 3, rtol=1e-4)  # both images are the same grey: there the slope is 0


@pytest.mark.parametrize("name", ["r1", "r2", "wgan_gp", "dragan"])
def test_finite_differences_of_packs_agree_with_the_exact_penalty_on_average(name):
    penalty, count = getattr(gradient_penalty, name), 20_000
    critic = packed(lambda packs: 0.3 * packs @ PACK_WEIGHT)
    image = jnp.broadcast_to(REAL[:1], (2 * count, 4, 4, 1))
    inputs = lambda image: (image,) if name in ("r1", "r2") else (image, image)  # noqa: E731
    exact = penalty(critic, *inputs(image[:2]), KEY)
    estimates = penalty(critic, *inputs(image), KEY, method="finite_difference")
    assert exact.shape == (1,)
    assert estimates.shape == (count,)
    assert abs(estimates.mean() - exact[0]) < 4 * estimates.std() / np.sqrt(count)

"""Adversarial losses against their closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.errors import UserError
from jaxgan.losses import adversarial
from jaxgan.losses.adversarial import per_example, smoothed

REAL = jnp.array([1.5, -0.3, 0.2])
FAKE = jnp.array([-0.7, 0.9, 0.1])


def log_sigmoid(x):
    return np.log(1 / (1 + np.exp(-np.asarray(x, np.float64))))


CLOSED_FORMS = {
    "minimax": (-log_sigmoid(REAL) - log_sigmoid(-FAKE), log_sigmoid(-FAKE)),
    "non_saturating": (-log_sigmoid(REAL) - log_sigmoid(-FAKE), -log_sigmoid(FAKE)),
    "least_squares": (((REAL - 1) ** 2 + FAKE**2) / 2, (FAKE - 1) ** 2 / 2),
    "hinge": (np.maximum(0, 1 - REAL) + np.maximum(0, 1 + FAKE), -FAKE),
    "wasserstein": (FAKE - REAL, -FAKE),
    "relativistic": (-log_sigmoid(REAL - FAKE), -log_sigmoid(FAKE - REAL)),
    "relativistic_average": (
        -log_sigmoid(REAL - FAKE.mean()) - log_sigmoid(REAL.mean() - FAKE),
        -log_sigmoid(FAKE - REAL.mean()) - log_sigmoid(FAKE.mean() - REAL),
    ),
}


@pytest.mark.quick
@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_closed_form(name):
    loss = getattr(adversarial, name)
    discriminator, generator = CLOSED_FORMS[name]
    np.testing.assert_allclose(loss.discriminator(REAL, FAKE), discriminator, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(loss.generator(REAL, FAKE), generator, rtol=1e-5, atol=1e-6)


@pytest.mark.quick
@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_extreme_logits_stay_finite(name):
    loss, real, fake = getattr(adversarial, name), jnp.array([200.0, -200.0]), jnp.array([-200.0, 200.0])
    for player in loss:
        gradients = jax.grad(lambda r, f, player=player: player(r, f).sum(), (0, 1))(real, fake)
        assert all(np.isfinite(g).all() for g in gradients)


@pytest.mark.quick
@pytest.mark.parametrize("name", ["minimax", "non_saturating"])
def test_smoothed_labels_are_targets_of_the_reals_alone(name):
    loss = smoothed(getattr(adversarial, name), 0.1)
    cross_entropy = -0.9 * log_sigmoid(REAL) - 0.1 * log_sigmoid(-REAL) - log_sigmoid(-FAKE)
    np.testing.assert_allclose(loss.discriminator(REAL, FAKE), cross_entropy, rtol=1e-5)
    assert loss.generator is getattr(adversarial, name).generator


@pytest.mark.quick
@pytest.mark.parametrize("name", ["minimax", "non_saturating", "least_squares"])
def test_the_best_discriminator_of_smoothed_labels_is_the_papers(name):
    share, data, model = 0.1, 0.7, 0.4  # densities at one image; Salimans et al. 2016, section 3.4, with beta 0
    best = (1 - share) * data / (data + model)
    loss = smoothed(getattr(adversarial, name), share).discriminator

    def expected(logit):
        of_real, of_fake = loss(logit, jnp.array([0.0])), loss(jnp.array([0.0]), logit)
        return (data * of_real + model * of_fake).sum()

    logit = best if name == "least_squares" else np.log(best / (1 - best))
    np.testing.assert_allclose(jax.grad(expected)(jnp.array([logit])), 0.0, atol=1e-6)


@pytest.mark.quick
def test_smoothing_is_refused_where_it_means_nothing():
    assert smoothed(adversarial.hinge, 0.0) is adversarial.hinge
    for name in ("hinge", "wasserstein", "relativistic", "relativistic_average"):
        with pytest.raises(
            UserError, match=r"config\.task\.adversary\.loss has no target for the reals; expected 0, or"
        ):
            smoothed(getattr(adversarial, name), 0.1)
    for share in (-0.1, 0.5, float("nan")):
        with pytest.raises(UserError, match=r"label_smoothing: got .*, expected 0 or more and less than 0\.5"):
            smoothed(adversarial.minimax, share)


def test_minimax_saturates_where_the_non_saturating_loss_does_not():
    lost = jnp.array([-20.0])  # the discriminator is sure that the image is a fake
    slopes = [
        jax.grad(lambda f, loss=loss: loss.generator(f, f).sum())(lost)[0]
        for loss in (adversarial.minimax, adversarial.non_saturating)
    ]
    assert abs(slopes[0]) < 1e-8
    assert abs(slopes[1] + 1) < 1e-6


def test_per_example_averages_patches_then_scales():
    scales = {"fine": jnp.arange(8.0).reshape(2, 2, 2), "coarse": jnp.array([[10.0], [20.0]])}
    np.testing.assert_allclose(per_example(scales), [(1.5 + 10) / 2, (5.5 + 20) / 2])
    weights = {"fine": jnp.zeros((2, 1, 1)), "coarse": jnp.ones((2, 1))}
    np.testing.assert_allclose(per_example(scales, weights), [5.0, 10.0])


def test_a_relativistic_pair_depends_on_who_is_paired():
    shuffled = FAKE[::-1]
    paired = adversarial.relativistic.discriminator(REAL, FAKE).mean()
    assert abs(paired - adversarial.relativistic.discriminator(REAL, shuffled).mean()) > 1e-2
    average = adversarial.relativistic_average.discriminator(REAL, FAKE).mean()
    np.testing.assert_allclose(
        average, adversarial.relativistic_average.discriminator(REAL, shuffled).mean(), rtol=1e-6
    )

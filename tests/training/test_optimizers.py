"""Optimizers: optax by name, schedules over images, clips, the lazy correction."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan.errors import UserError
from jaxgan.game import Phase
from jaxgan.training.optimizers import check_optimizer, lazy_correction, make_optimizer

ZERO = jnp.zeros((), jnp.int32)
PARAMS = {"w": jnp.array([1.0, -2.0])}
GRADIENTS = {"w": jnp.array([0.5, 30.0])}


def moved(section, images=0, rollbacks=0, steps=2, **kwargs):
    optimizer, params = make_optimizer(section, **kwargs), PARAMS
    state = optimizer(ZERO, ZERO).init(params)
    for _ in range(steps):
        updates, state = optimizer(jnp.int32(images), jnp.int32(rollbacks)).update(GRADIENTS, state, params)
        params = optax.apply_updates(params, updates)
    return params["w"]


def reference(transformation, steps=2):
    params, state = PARAMS, transformation.init(PARAMS)
    for _ in range(steps):
        updates, state = transformation.update(GRADIENTS, state, params)
        params = optax.apply_updates(params, updates)
    return params["w"]


@pytest.mark.parametrize("name", ["adam", "adamw", "rmsprop", "sgd"])
def test_equals_optax(name):
    expected = reference(getattr(optax, name)(learning_rate=0.1))
    np.testing.assert_allclose(moved({"name": name, "learning_rate": 0.1}), expected, rtol=1e-6)


def test_a_schedule_follows_images_and_a_rollback_halves():
    section = {"name": "sgd", "learning_rate": {"name": "linear", "start": 1.0, "stop": 0.0, "images": 100}}
    np.testing.assert_allclose(moved(section, images=50, steps=1), PARAMS["w"] - 0.5 * GRADIENTS["w"])
    np.testing.assert_allclose(moved(section, images=50, rollbacks=2, steps=1), PARAMS["w"] - 0.125 * GRADIENTS["w"])


def test_clips():
    section = {"name": "sgd", "learning_rate": 1.0}
    clipped = moved({**section, "clip_global_norm": 1.0}, steps=1)
    np.testing.assert_allclose(np.linalg.norm(clipped - PARAMS["w"]), 1.0, rtol=1e-5)
    adaptive = moved({**section, "clip_adaptive": 0.01}, steps=1)
    assert np.linalg.norm(adaptive - PARAMS["w"]) < 0.1
    np.testing.assert_allclose(moved({**section, "clip_weights": 0.25}, steps=1), [0.25, -0.25])


NETWORKS = {"mapping": {"w": jnp.array([1.0, 1.0])}, "synthesis": {"w": jnp.array([1.0])}}


def first_update(section, images=0):
    optimizer = make_optimizer(section)(jnp.int32(images), ZERO)
    gradients = {name: jax.tree.map(lambda p: 7.0 * p, params) for name, params in NETWORKS.items()}
    return optimizer.update(gradients, optimizer.init(NETWORKS), NETWORKS)[0]


def test_the_first_update_of_a_scaled_network_is_its_share_of_the_rate():
    """Adam's first step is the learning rate, whatever the gradient (Kingma & Ba 2015, section 2.1)."""
    section = {"name": "adam", "learning_rate": 1e-2, "scale": {"mapping": 0.01}}
    updates = first_update(section)
    np.testing.assert_allclose(updates["mapping"]["w"], -1e-4, rtol=1e-5)
    np.testing.assert_allclose(updates["synthesis"]["w"], -1e-2, rtol=1e-5)
    fading = {**section, "scale": {"synthesis": {"name": "linear", "start": 1.0, "stop": 0.0, "images": 100}}}
    np.testing.assert_allclose(first_update(fading, images=75)["synthesis"]["w"], -0.25e-2, rtol=1e-5)
    clipped = first_update({**section, "clip_weights": 0.5, "scale": {"mapping": 0.0}})
    np.testing.assert_allclose(clipped["mapping"]["w"], -0.5, rtol=1e-5)  # weights are clipped last


@pytest.mark.parametrize(
    ("scale", "words"),
    [
        (0.1, r"p\.scale: got 0\.1, expected a section"),
        ({"mapping": -1.0}, r"p\.scale\.mapping: got -1\.0, expected 0 or more"),
        ({"mapping": {"name": "linaer"}}, r"p\.scale\.mapping\.name: got 'linaer'"),
    ],
)
def test_an_invalid_scale_is_an_error(scale, words):
    with pytest.raises(UserError, match=words):
        check_optimizer({"name": "adam", "learning_rate": 1e-2, "scale": scale}, "p")


def phase(every=1, *, start=0, stop=None, lazy=False):
    return Phase("x", "discriminator", lambda *_: None, every=every, lazy=lazy, start=start, stop=stop)


def corrections_of(*phases):
    return lazy_correction((*phases, Phase("y", "generator", lambda *_: None)), "discriminator")


@pytest.mark.quick
def test_a_lazy_phase_takes_its_share_of_the_steps():
    """Karras et al. 2020, appendix B: c = k / (k + 1), k counted in the player's own steps."""
    assert corrections_of(phase(), phase(16, lazy=True)) == ((0, 16 / 17),)
    assert corrections_of(phase(), phase(4, lazy=True)) == ((0, 4 / 5),)
    # of a player that moves in every fifth round only, k is 16 / 5 and 4 / 5
    assert corrections_of(phase(5), phase(16, lazy=True))[0].factor == pytest.approx(3.2 / 4.2)
    assert corrections_of(phase(5), phase(4, lazy=True))[0].factor == pytest.approx(0.8 / 1.8)
    # two regularizations: 16 steps of the main phase beside 1 and 4
    assert corrections_of(phase(), phase(16, lazy=True), phase(4, lazy=True))[0].factor == pytest.approx(16 / 21)


@pytest.mark.quick
def test_without_a_lazy_phase_the_rate_is_that_of_the_config():
    assert corrections_of() == corrections_of(phase(5)) == ((0, 1.0),)
    assert corrections_of(phase(), phase()) == corrections_of(phase(), phase(3)) == ((0, 1.0),)
    assert corrections_of(phase(stop=100), phase(start=100)) == ((0, 1.0),)
    assert corrections_of(*(phase(start=n * 100, stop=(n + 1) * 100) for n in range(7))) == ((0, 1.0),)
    assert corrections_of(phase(16, lazy=True)) == ((0, 1.0),)  # alone it adds no steps to a main phase


@pytest.mark.quick
def test_only_phases_of_the_same_stage_count():
    stages = (phase(stop=100), phase(start=100), phase(16, start=100, stop=200, lazy=True))
    assert corrections_of(*stages) == ((0, 1.0), (100, 16 / 17), (200, 1.0))


def test_lazy_regularization_keeps_the_memory_as_stylegan2_does():
    c = 16 / 17
    section = {"name": "adam", "learning_rate": 0.0025, "b1": 0.5, "b2": 0.99}
    plain, corrected = optax.adam(0.0025, b1=0.5, b2=0.99), optax.adam(0.0025 * c, b1=0.5**c, b2=0.99**c)
    always = corrections_of(phase(), phase(16, lazy=True))
    np.testing.assert_allclose(moved(section, corrections=always), reference(corrected), rtol=1e-6)
    at_times = corrections_of(phase(), phase(16, start=100, stop=200, lazy=True))
    for images, expected in ((0, plain), (99, plain), (100, corrected), (199, corrected), (200, plain)):
        now = moved(section, images=images, corrections=at_times)
        np.testing.assert_allclose(now - PARAMS["w"], reference(expected) - PARAMS["w"], rtol=1e-5)


def test_betas_that_a_section_leaves_to_optax_are_corrected_too():
    c = 4 / 5
    expected = reference(optax.adam(0.1 * c, b1=0.9**c, b2=0.999**c), steps=3)
    given = moved(
        {"name": "adam", "learning_rate": 0.1}, steps=3, corrections=corrections_of(phase(), phase(4, lazy=True))
    )
    np.testing.assert_allclose(given - PARAMS["w"], expected - PARAMS["w"], rtol=1e-5)


def test_a_changing_correction_does_not_recompile():
    at_times = corrections_of(phase(), phase(16, start=100, lazy=True))
    optimizer = make_optimizer({"name": "adam", "learning_rate": 0.1}, corrections=at_times)
    traced = []

    @jax.jit
    def rate_of(images):
        traced.append(images)
        return optimizer(images, ZERO).update(GRADIENTS, optimizer(ZERO, ZERO).init(PARAMS), PARAMS)[0]["w"]

    np.testing.assert_allclose(
        [rate_of(jnp.int32(n))[0] for n in (0, 99, 100)], [-0.1, -0.1, -0.1 * 16 / 17], rtol=1e-5
    )
    assert len(traced) == 1


@pytest.mark.quick
@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"name": "adm", "learning_rate": 1.0}, "o.g.name"),
        ({"name": "adam", "learning_rat": 1.0}, "did you mean learning_rate"),
        ({"name": "adam", "learning_rate": "fast"}, "expected a number"),
        ({"name": "adam", "learning_rate": {"name": "sawtooth"}}, "o.g.learning_rate.name"),
        ({"name": "adam", "learning_rate": {"name": "linear", "start": 1.0}}, "missing a required"),
        ({"name": "adam"}, "o.g.learning_rate is missing"),
        ({"name": "chain", "learning_rate": 1.0}, "expected an optax optimizer"),
    ],
)
def test_a_mistake_is_named(section, words):
    with pytest.raises(UserError, match=words):
        check_optimizer(section, "o.g")

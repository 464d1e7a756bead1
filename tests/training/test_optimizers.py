"""Optimizers: optax by name, schedules over images, clips, the lazy correction."""

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


def test_lazy_regularization_keeps_the_memory_as_stylegan2_does():
    def phase(every):
        return Phase("x", "discriminator", lambda *_: None, every=every)

    c = lazy_correction((phase(1), phase(16)), "discriminator")
    np.testing.assert_allclose(c, 16 / 17)
    np.testing.assert_allclose(lazy_correction((phase(1), phase(4)), "discriminator"), 4 / 5)
    np.testing.assert_allclose(lazy_correction((phase(5),), "discriminator"), 1.0)
    expected = reference(optax.adam(0.0025 * c, b1=0.0, b2=0.99**c))
    section = {"name": "adam", "learning_rate": 0.0025, "b1": 0.0, "b2": 0.99}
    np.testing.assert_allclose(moved(section, correction=c), expected, rtol=1e-6)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"name": "adm", "learning_rate": 1.0}, "o.g.name"),
        ({"name": "adam", "learning_rat": 1.0}, "did you mean learning_rate"),
        ({"name": "adam", "learning_rate": "fast"}, "accepted is a number"),
        ({"name": "adam", "learning_rate": {"name": "sawtooth"}}, "o.g.learning_rate.name"),
        ({"name": "adam", "learning_rate": {"name": "linear", "start": 1.0}}, "missing a required"),
        ({"name": "adam"}, "o.g.learning_rate is missing"),
        ({"name": "chain", "learning_rate": 1.0}, "accepted is an optax optimizer"),
    ],
)
def test_a_mistake_is_named(section, words):
    with pytest.raises(UserError, match=words):
        check_optimizer(section, "o.g")

"""ADA: the pipeline as a whole, and the controller of its probability."""

from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.augment.ada import ADA, GROUPS, PRESETS, STRENGTHS, Preset
from jaxgan.errors import UserError

ALL = ADA("bgcfnc")
IMAGES = jax.random.normal(jax.random.key(0), (3, 8, 8, 3))
KEY = jax.random.key(1)
augmented = jax.jit(ALL.__call__)


def test_probability_zero_is_the_identity_bit_for_bit_in_float32():
    np.testing.assert_array_equal(augmented(KEY, IMAGES, 0.0), IMAGES)
    half = IMAGES.astype(jnp.bfloat16)
    out = augmented(KEY, half, 0.0)
    assert out.dtype == jnp.float32
    np.testing.assert_array_equal(out, half.astype(jnp.float32))


def test_one_key_one_result():
    np.testing.assert_array_equal(augmented(KEY, IMAGES, 0.5), augmented(KEY, IMAGES, 0.5))
    assert (augmented(KEY, IMAGES, 0.5) != augmented(jax.random.key(2), IMAGES, 0.5)).any()


def test_others_are_moved_by_the_same_draw_and_only_moved():
    moved = ALL.moved(KEY, IMAGES, 1.0)
    np.testing.assert_array_equal(ADA("bg")(jax.random.key(2), IMAGES, 1.0, moving_key=KEY), moved)
    np.testing.assert_array_equal(ADA("bg").moved(KEY, IMAGES, 1.0), moved)
    assert (moved != IMAGES).any()
    for preset in ("color", "none"):
        np.testing.assert_array_equal(ADA(preset).moved(KEY, IMAGES, 1.0), IMAGES)
    colours = ADA("color")
    np.testing.assert_array_equal(colours(KEY, IMAGES, 1.0, moving_key=KEY), colours(KEY, IMAGES, 1.0))


@pytest.mark.slow
def test_gradients_are_those_of_finite_differences_and_second_ones_are_finite():
    weight = jax.random.normal(jax.random.key(3), IMAGES.shape)

    @jax.jit
    def loss(images):
        return (weight * ALL(KEY, images, 0.7) ** 2).sum()

    direction = jax.random.normal(jax.random.key(4), IMAGES.shape)
    difference = (loss(IMAGES + 1e-2 * direction) - loss(IMAGES - 1e-2 * direction)) / 2e-2
    np.testing.assert_allclose((jax.grad(loss)(IMAGES) * direction).sum(), difference, rtol=1e-2)
    assert float(abs(difference)) > 1.0

    @jax.jit
    def penalty(scale):
        return jnp.square(jax.grad(lambda x: jnp.tanh(scale * ALL(KEY, x, 0.7)).sum())(IMAGES)).sum()

    steps = (penalty(1.01) - penalty(0.99)) / 0.02
    np.testing.assert_allclose(jax.jit(jax.grad(penalty))(1.0), steps, rtol=2e-2)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_every_number_of_channels_works(channels):
    out = augmented(KEY, IMAGES[..., :channels], 1.0)
    assert out.shape == (3, 8, 8, channels)
    assert np.isfinite(out).all()


@pytest.mark.parametrize("name", sorted(STRENGTHS))
def test_each_transform_hits_its_share_of_the_images(name):
    count = 400
    images = jnp.broadcast_to(IMAGES[:1], (count, 8, 8, 3))
    ada = ADA("none", chances={name: 0.8})
    changed = (np.asarray(jax.jit(ada.__call__)(KEY, images, 0.5)) != np.asarray(images)).any(axis=(1, 2, 3)).mean()
    # some draws leave an image as it is: half of the flips, a quarter of the turns, a shift by 0, 0
    # of the shifts, rounded from [-1, 1] pixels, half are 0 on each axis
    expected = 0.4 * {"xflip": 0.5, "lumaflip": 0.5, "rotate90": 0.75, "xint": 0.75}.get(name, 1.0)
    if name == "imgfilter":
        expected = 1.0 - 0.6**4  # four bands, each by itself
    assert abs(changed - expected) < 4 * np.sqrt(expected * (1 - expected) / count)


def test_strengths_and_chances_reach_their_transforms():
    weak = ADA("bgcfnc", strengths=dict.fromkeys(STRENGTHS, 0.0))
    np.testing.assert_allclose(jax.jit(weak.__call__)(KEY, IMAGES, 1.0), IMAGES, atol=1e-5)
    blocked = ADA("bgcfnc", chances=dict.fromkeys(STRENGTHS, 0.0))
    np.testing.assert_array_equal(blocked(KEY, IMAGES, 1.0), IMAGES)


def test_groups_hold_every_transform_once_and_every_preset_can_be_named():
    assert set(get_args(Preset)) == set(PRESETS)
    assert sorted(name for group in GROUPS.values() for name in group) == sorted(STRENGTHS)


def test_p_moves_by_the_images_of_an_interval_towards_its_target():
    ada = ADA(target=0.5, interval=2, images_to_one=100)
    memory = ada.init_memory()
    logits = jnp.array([1.0, 2.0, 3.0, 1.0])
    seen = []
    for step in range(6):
        memory = ada.update(memory, logits if step < 4 else -logits, batch_size=4, step=step)
        seen.append(float(ada.probability(memory, 0)))
    np.testing.assert_allclose(seen, [0.0, 0.08, 0.08, 0.16, 0.16, 0.08], atol=1e-6)


def test_p_looks_at_the_mean_sign_of_the_whole_interval_and_stays_between_0_and_1():
    ada = ADA(target=0.6, interval=2, images_to_one=10)
    memory = ada.init_memory()
    for step, logits in enumerate(([1.0, 1.0], [1.0, -0.1])):  # signs 1 and 0: 0.5 on average, below 0.6
        memory = ada.update(memory, jnp.array(logits), batch_size=2, step=step)
    assert float(memory["probability"]) == 0.0
    for step in range(20):
        memory = ada.update(memory, jnp.ones(2), batch_size=2, step=step)
    assert float(memory["probability"]) == 1.0


def test_a_schedule_takes_the_place_of_the_controller():
    ada = ADA(schedule={"name": "linear", "start": 0.0, "stop": 0.55, "images": 100})
    assert ada.init_memory() == {}
    assert float(ada.probability({}, jnp.int32(50))) == pytest.approx(0.275)
    assert ada.update({}, jnp.ones(2), batch_size=2, step=0) == {}
    assert float(ADA(schedule=0.3).probability({}, 0)) == pytest.approx(0.3)


def test_p_is_one_number_under_pmap():
    from jaxgan.layers.collective import axis

    ada = ADA(interval=1, images_to_one=8)

    def update(memory, logits):
        with axis("batch"):
            return ada.update(memory, logits, batch_size=4, step=0)

    logits = jnp.array([[1.0, 1.0], [1.0, -1.0]])  # 0.5 on average: below 0.6, though the first device is above
    memory = {name: jnp.full(2, 0.5) for name in ada.init_memory()} | {"signs": jnp.zeros(2), "images": jnp.zeros(2)}
    moved = jax.vmap(update, axis_name="batch")(memory, logits)
    np.testing.assert_allclose(moved["probability"], [0.0, 0.0])


@pytest.mark.quick
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"preset": "bgcc"}, "preset"),
        ({"chances": {"hues": 1.0}}, "did you mean hue"),
        ({"chances": {"hue": 1.5}}, "at most 1"),
        ({"strengths": {"hue": -1.0}}, "of at least 0"),
        ({"interval": 0}, "interval"),
        ({"schedule": {"name": "linear"}}, "schedule"),
    ],
)
def test_mistakes_are_told(arguments, words):
    with pytest.raises(UserError, match=words):
        ADA(**arguments)


def test_images_must_be_square():
    with pytest.raises(UserError, match="8x4"):
        ALL(KEY, IMAGES[:, :, :4], 0.5)

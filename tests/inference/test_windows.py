"""Films through networks of whole clips."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.fields import Field
from jaxgan.game import Product, Weights
from jaxgan.inference.windows import can_be_windowed, windowed

NOTHING = Weights({}, {})


def smoothing(reach):
    """The mean of each frame and `reach` ones to each side, as often as clips go on with their ends."""

    def forward(weights, asked, memory):
        frames = jnp.pad(asked["small"], ((0, 0), (reach, reach), *[(0, 0)] * 3), mode="edge")
        count = asked["small"].shape[1]
        return {"image": sum(frames[:, k : k + count] for k in range(2 * reach + 1)) / (2 * reach + 1)}, memory

    field = Field((None, None, None, 3), kind="pixels")
    return Product(asks={"small": field}, gives={"image": field}, networks=(), forward=forward)


def through(product, frames):
    """A shot, frame by frame."""
    memory, made = product.start(NOTHING, {"small": frames[:1]}), []
    for number in [*range(len(frames)), *[len(frames) - 1] * product.delay]:
        images, memory = product(NOTHING, {"small": frames[number : number + 1]}, memory)
        made.append(images["image"][0])
    return np.stack(made[product.delay :])


@pytest.mark.parametrize("count", [1, 2, 5, 6, 17])
def test_a_shot_of_any_length_is_as_the_whole_clip(count):
    frames = jnp.asarray(np.random.default_rng(0).normal(size=(count, 3, 4, 3)), jnp.float32)
    product = smoothing(2)
    whole = product.once(NOTHING, {"small": frames[None]})["image"][0]
    np.testing.assert_allclose(through(windowed(product, size=5, around=2), frames), whole, atol=1e-6)
    if count > 5:  # what the frames around are for
        assert np.abs(through(windowed(product, size=5, around=1), frames) - whole).max() > 0.01


def test_it_takes_frames_and_is_late_by_the_frames_ahead():
    product = windowed(smoothing(1), size=5, around=2)
    assert product.asks["small"] == product.gives["image"] == Field((None, None, 3), kind="pixels")
    assert product.delay == 6
    frame = jnp.ones((1, 2, 2, 3))
    np.testing.assert_allclose(product.once(NOTHING, {"small": frame})["image"], frame)


def test_clips_of_a_certain_length_are_none_of_windows():
    product = smoothing(1)
    assert can_be_windowed(product)
    certain = {"small": Field((7, None, None, 3), kind="pixels")}
    assert not can_be_windowed(dataclasses.replace(product, asks=certain))
    assert not can_be_windowed(windowed(product))

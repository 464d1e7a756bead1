"""U-Nets of films: whole clips equal films frame by frame, frames that a frame depends on, and initial outputs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.errors import UserError
from jaxgan.layers.film_filling import FILLINGS
from jaxgan.layers.noise_level import noise_level
from jaxgan.layers.passage import Passage
from jaxgan.models import shift_unet, unet

KEY = jax.random.key(0, impl="unsafe_rbg")  # its normal numbers compile in a seventh of the time
CLIP = jax.random.uniform(jax.random.key(1), (2, 6, 7, 10, 3), minval=-1.0)
SMOOTH = jax.image.resize(CLIP[..., ::3, ::4, :], CLIP.shape, "cubic")
HOLE = (jax.random.uniform(jax.random.key(2), (2, 6, 7, 10, 1)) > 0.6).astype(jnp.float32)
HOLED = jnp.concatenate([CLIP * (1 - HOLE), HOLE], axis=-1)
BLOCK = jnp.zeros_like(HOLE).at[:, 1::2, 2:6, 3:7].set(1)
BLOCKED = jnp.concatenate([SMOOTH * (1 - BLOCK), BLOCK], axis=-1)
MAPPED = jnp.concatenate([CLIP, jnp.full((2, 6, 7, 10, 1), 0.2)], axis=-1)
SMALL = {"base_width": 4, "halvings": 1, "bottom": 1}


def random_tree(network, condition):
    """Random weights, including those that a residual initialises to zero."""
    shapes = jax.eval_shape(lambda: network.init(KEY, condition, train=False))
    leaves, structure = jax.tree.flatten(shapes)
    normals = jax.random.split(jax.random.key(3, impl="unsafe_rbg"), len(leaves))
    leaves = [0.2 * jax.random.normal(key, leaf.shape) for key, leaf in zip(normals, leaves)]
    return jax.tree.unflatten(structure, leaves)


def whole(network, tree, clip):
    return jax.jit(lambda clip: network.apply(tree, clip, None, train=True))(clip)


def frame_by_frame(network, tree, clip):
    step = jax.jit(lambda frame, memory: network.apply(tree, frame, memory, train=False, method="step"))
    memory, images = network.start(clip[:, 0]), []
    for frame in (*jnp.moveaxis(clip, 1, 0), *[clip[:, -1]] * network.delay):
        image, memory = step(frame, memory)
        images.append(image)
    return jnp.stack(images[network.delay :], axis=1)


CASES = {
    "all ahead": (shift_unet.Generator(3, ahead=3, **SMALL), CLIP, 3),
    "some ahead": (shift_unet.Generator(3, ahead=1, gated=True, unshuffle=2, **SMALL), CLIP, 1),
    "causal": (shift_unet.Generator(3, ahead=0, residual=False, **SMALL), CLIP, 0),
    "mapped": (shift_unet.Generator(3, ahead=2, noise="map", **SMALL), MAPPED, 2),
    "estimated": (shift_unet.Generator(3, ahead=2, noise="map", **SMALL), CLIP, 2),
    "smooth": (shift_unet.Generator(3, ahead=1, filled="smooth", **SMALL), HOLED, 1),
    "median": (shift_unet.Generator(3, ahead=1, filled="median", window=4, future=2, **SMALL), HOLED, 3),
    "flow": (shift_unet.Generator(3, ahead=2, filled="flow", **SMALL), BLOCKED, 2),
    "two stages": (shift_unet.TwoStage(3, **SMALL), MAPPED, 2),
}


QUICK = ("some ahead",)  # the others take seconds to compile


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in CASES]
)
def test_a_clip_as_a_whole_is_the_film_frame_by_frame(name):
    network, clip, delay = CASES[name]
    tree = random_tree(network, clip)
    expected = whole(network, tree, clip)
    assert (expected.shape, expected.dtype, network.delay) == (CLIP.shape, jnp.float32, delay)
    np.testing.assert_allclose(frame_by_frame(network, tree, clip), expected, atol=1e-5)


@pytest.mark.slow
def test_a_picture_is_a_film_of_one_frame():
    network, clip, _ = CASES["median"]
    tree, one = random_tree(network, clip), clip[:, :1]
    np.testing.assert_allclose(frame_by_frame(network, tree, one), whole(network, tree, one), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "before"),
    [("some ahead", 3), *(pytest.param(*each, marks=pytest.mark.slow) for each in (("causal", 3), ("two stages", 2)))],
)
def test_a_frame_sees_as_many_later_ones_as_the_film_is_late(name, before):
    network, clip, delay = CASES[name]
    clip = jnp.tile(clip, (1, 2, 1, 1, 1))[:1]
    tree = random_tree(network, clip)
    gradient = jax.jit(jax.grad(lambda clip: network.apply(tree, clip, None, train=True)[:, 5].sum()))(clip)
    seen = np.flatnonzero(np.asarray(gradient).any(axis=(0, 2, 3, 4)))
    np.testing.assert_array_equal(seen, np.arange(5 - before, 6 + delay))


@pytest.mark.parametrize("ahead", [pytest.param(0, marks=pytest.mark.slow), 2])
def test_of_a_film_that_stands_still_it_is_the_u_net_of_pictures(ahead):
    network, pictures = shift_unet.Generator(3, ahead=ahead, **SMALL), unet.Generator(3, residual=True, **SMALL)
    still = jnp.tile(CLIP[:, :1], (1, 9, 1, 1, 1))
    tree = random_tree(network, still)
    expected = jax.jit(lambda: pictures.apply(tree, CLIP[:, 0], train=False))()
    np.testing.assert_allclose(whole(network, tree, still)[:, 4], expected, atol=1e-4)


def test_without_shifts_it_is_the_u_net_of_pictures_frame_by_frame():
    network, pictures = shift_unet.Generator(3, temporal=False, **SMALL), unet.Generator(3, residual=True, **SMALL)
    assert network.delay == 0
    tree = random_tree(network, CLIP)
    each = pictures.apply(tree, CLIP.reshape(-1, *CLIP.shape[2:]), train=False)
    np.testing.assert_allclose(whole(network, tree, CLIP), each.reshape(CLIP.shape), atol=1e-5)


@pytest.mark.slow
def test_a_denoiser_begins_as_the_identity_and_a_filling_one_as_the_filling():
    network = CASES["mapped"][0]
    tree = jax.jit(lambda: network.init(KEY, MAPPED, train=False))()
    np.testing.assert_allclose(whole(network, tree, MAPPED), CLIP, atol=1e-6)
    network = CASES["median"][0]
    tree = jax.jit(lambda: network.init(KEY, HOLED, train=False))()
    passage = Passage()
    filled, hole, _ = FILLINGS["median"](passage, passage.extended(CLIP, 2), passage.extended(HOLE, 2), 4, 2)
    assert filled.shape == CLIP.shape
    np.testing.assert_array_equal(hole, HOLE)
    np.testing.assert_allclose(whole(network, tree, HOLED), filled, atol=1e-6)


@pytest.mark.parametrize("level", [5, 25, 55])
def test_the_level_of_noise_is_estimated_from_the_image(level):
    slopes = jnp.broadcast_to(jnp.linspace(-0.8, 0.8, 65)[:, None], (3, 33, 65, 3))
    noisy = slopes + level / 127.5 * jax.random.normal(KEY, slopes.shape)
    found = jax.jit(noise_level)(noisy)
    assert found.shape == (3, 1, 1, 1)
    np.testing.assert_allclose(127.5 * found, level, rtol=0.08)
    assert not noise_level(noisy[:, :1]).any()


@pytest.mark.parametrize(
    ("options", "clip", "message"),
    [
        ({"ahead": 4}, CLIP, "got ahead 4, expected at most 3"),
        ({"filled": "median", "window": 2, "future": 2}, HOLED, "got future 2, expected less than window"),
        ({"parts": 5}, CLIP, "got base_width 4, expected parts"),
        ({"filled": "flow", "noise": "map"}, HOLED, "expected only one of them"),
        ({"filled": "flow"}, CLIP, "conditions of 3 channels, expected 4 or more"),
        ({}, CLIP[..., :1], "conditions of 1 channels, expected 3 or more"),
    ],
)
def test_invalid_options_are_refused(options, clip, message):
    network = shift_unet.Generator(3, **{**SMALL, "ahead": 0, **options})
    with pytest.raises(UserError, match=message):
        jax.eval_shape(lambda: network.init(KEY, clip, train=False))


@pytest.mark.slow
def test_half_precision_has_images_and_gradients_in_float32():
    network = shift_unet.Generator(3, ahead=1, dtype=jnp.bfloat16, **SMALL)
    tree = jax.eval_shape(lambda: network.init(KEY, CLIP, train=False))
    image, gradient = jax.eval_shape(
        jax.value_and_grad(lambda tree: jnp.sin(network.apply(tree, CLIP, None, train=True)).sum()), tree
    )
    assert {leaf.dtype for leaf in jax.tree.leaves((image, gradient, tree))} == {jnp.dtype("float32")}
    memory = network.start(CLIP[:, 0])
    assert memory["keep_0"].dtype == jnp.bfloat16

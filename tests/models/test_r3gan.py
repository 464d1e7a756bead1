"""R3GAN: shapes, its start, the block against its formula, labels, precision."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxgan.errors import UserError
from jaxgan.models import r3gan

KEY = jax.random.key(0)
LABEL = jnp.array([0, 1, 2, 0])
LATENT = jax.random.normal(jax.random.key(1), (4, 5))
IMAGE = jax.random.uniform(jax.random.key(2), (4, 8, 8, 1), minval=-1.0)
SMALL = {"base_width": 4, "blocks": 1, "group_width": 4}


@pytest.mark.parametrize(("resolution", "channels"), [(8, 4), (32, 3), (128, 1)])
def test_r3gan_of_any_power_of_two_and_number_of_channels(resolution, channels):
    latent = jax.ShapeDtypeStruct((2, 7), jnp.float32)
    generator, discriminator = r3gan.Generator(resolution, channels), r3gan.Discriminator(resolution)
    image, _ = jax.eval_shape(lambda z: generator.init_with_output(KEY, z, train=True), latent)
    judged, _ = jax.eval_shape(lambda x: discriminator.init_with_output(KEY, x, train=True), image)
    assert image.shape == (2, resolution, resolution, channels)
    assert judged.features.shape == (2, 64)
    assert judged.logits.shape == (2,)


def test_r3gan_is_halved_from_64_pixels_on():
    assert r3gan.stage_widths(256, None, 768) == (768, 768, 768, 768, 384, 192, 96)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resolution": 12}, "resolution 12, expected a power of two of at least 8"),
        ({"resolution": 4}, "resolution 4, expected a power of two of at least 8"),
        ({"resolution": 32, "widths": (4, 4)}, "2 widths, expected 4 at resolution 32"),
        ({"resolution": 8, "base_width": 4, "group_width": 3}, "group_width 3, expected a divisor of 8"),
    ],
)
def test_r3gan_refuses_what_does_not_fit(options, message):
    with pytest.raises(UserError, match=message):
        jax.eval_shape(lambda: r3gan.Generator(channels=1, **options).init(KEY, LATENT, train=False))


def test_the_start_is_that_of_the_paper():
    depth, width = 16, 32
    block = r3gan.Block(depth, expansion=2, group_width=16)
    params = block.init(KEY, jnp.ones((1, 4, 4, width)))["params"]
    gain = np.sqrt(2 / 1.04) * depth**-0.25
    assert float(params["widen"]["kernel"].std()) == pytest.approx(gain / np.sqrt(width), rel=0.05)
    assert float(params["mix"]["kernel"].std()) == pytest.approx(gain / np.sqrt(9 * 16), rel=0.05)
    assert not np.any(params["narrow"]["kernel"])
    x = jax.random.normal(KEY, (1, 4, 4, width))
    np.testing.assert_array_equal(block.apply({"params": params}, x), x)  # nothing but its shortcut


def test_the_block_is_the_paper_s():
    x = jax.random.normal(KEY, (2, 5, 5, 4))
    block = r3gan.Block(2, expansion=2, group_width=4)
    shapes = jax.eval_shape(lambda: block.init(KEY, x))["params"]
    leaves, structure = jax.tree.flatten(shapes)
    keys = jax.random.split(KEY, len(leaves))
    params = structure.unflatten([jax.random.normal(key, leaf.shape) for key, leaf in zip(keys, leaves)])

    def lrelu(x, bias):
        return np.where(x + bias > 0, x + bias, 0.2 * (x + bias))

    y = lrelu(x @ params["widen"]["kernel"][0, 0], params["widen"]["bias"])
    layout = ("NHWC", "HWIO", "NHWC")
    kernel = params["mix"]["kernel"]
    y = lax.conv_general_dilated(y, kernel, (1, 1), "SAME", dimension_numbers=layout, feature_group_count=2)
    y = x + lrelu(y, params["mix"]["bias"]) @ params["narrow"]["kernel"][0, 0]
    np.testing.assert_allclose(block.apply({"params": params}, x), y, rtol=1e-4, atol=1e-4)


def test_r3gan_keeps_the_variance_of_a_stage_at_its_start():
    latent = jax.random.normal(jax.random.key(3), (64, 32))
    network = r3gan.Generator(8, 16, base_width=64)
    image, _ = jax.jit(lambda z: network.init_with_output(KEY, z, train=True))(latent)
    # the doubling by [1, 3, 3, 1] takes (10/16)^2 of the variance of white noise inside, more at the borders
    assert 0.2 < float(image.var()) < 0.6


def test_r3gan_judges_labels_by_projection_alone():
    network = r3gan.Discriminator(8, 3, **SMALL)
    judged, tree = jax.jit(partial(network.init_with_output, train=False))(KEY, IMAGE, LABEL)
    compared = judged.features @ tree["params"]["projected"]["kernel"]
    expected = (compared * tree["params"]["label"]["table"]["embedding"][LABEL]).sum(axis=1)
    np.testing.assert_allclose(judged.logits, expected, rtol=1e-5, atol=1e-7)
    assert judged.class_logits is None


def test_r3gan_guesses_labels_by_a_classifier():
    network = r3gan.Discriminator(8, 3, conditioning="classifier", **SMALL)
    judged, _ = jax.eval_shape(lambda: network.init_with_output(KEY, IMAGE, LABEL, train=False))
    assert (judged.logits.shape, judged.class_logits.shape) == ((4,), (4, 3))


def test_r3gan_generates_by_label():
    network = r3gan.Generator(8, 1, 3, **SMALL)
    tree = jax.jit(partial(network.init, train=False))(KEY, LATENT, LABEL)
    draw = jax.jit(partial(network.apply, train=False))
    one, other = (draw(tree, LATENT, jnp.full(4, label)) for label in (0, 2))
    assert float(np.abs(one - other).mean()) > 1e-2


def test_r3gan_in_half_precision_has_finite_gradients_in_float32():
    options = {**SMALL, "dtype": "bfloat16"}  # as a config has it
    generator, discriminator = r3gan.Generator(8, 1, 3, **options), r3gan.Discriminator(8, 3, **options)
    trees = (
        jax.jit(partial(generator.init, train=False))(KEY, LATENT, LABEL),
        jax.jit(partial(discriminator.init, train=False))(KEY, IMAGE, LABEL),
    )

    def logits(trees):
        fakes = generator.apply(trees[0], LATENT, LABEL, train=True)
        judged = discriminator.apply(trees[1], fakes, LABEL, train=True)
        return judged.logits.sum(), (fakes, judged)

    gradients, (fakes, judged) = jax.jit(jax.grad(logits, has_aux=True))(trees)
    assert {fakes.dtype, judged.logits.dtype, judged.features.dtype} == {jnp.dtype("float32")}
    for leaf in jax.tree.leaves(gradients):
        assert leaf.dtype == jnp.float32
        assert np.isfinite(leaf).all()


def test_the_largest_four_stages_compute_in_low_precision_but_not_the_smallest():
    assert [r3gan.stage_dtype(index, 4, "low") for index in range(4)] == [jnp.float32, "low", "low", "low"]
    assert [r3gan.stage_dtype(index, 7, "low") for index in range(7)] == [jnp.float32] * 3 + ["low"] * 4

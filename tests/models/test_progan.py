"""Progressive GAN: stages, fading, params of all stages from the start."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.errors import UserError
from jaxgan.layers.equalized import EqualizedConv, leaky_relu, pixel_norm
from jaxgan.layers.resampling import box_downsample, box_upsample
from jaxgan.models import progan

KEY = jax.random.key(0)
LABEL = jnp.array([0, 1, 2, 0])
LATENT = jax.random.normal(jax.random.key(1), (4, 5))
IMAGE = jax.random.normal(jax.random.key(2), (4, 16, 16, 1))
GENERATOR = progan.Generator(16, 1, max_width=6)
DISCRIMINATOR = progan.Discriminator(16, max_width=6)


@pytest.fixture(scope="module")
def trees():
    """The variables of both networks of three stages, biases that are not zero."""
    made = jax.jit(lambda: (GENERATOR.init(KEY, LATENT, train=False), DISCRIMINATOR.init(KEY, IMAGE, train=False)))()
    return jax.tree.map(lambda leaf: leaf + 0.1, made)


def used(gradient):
    """The submodules that a gradient reaches."""
    return {name for name, tree in gradient["params"].items() if any(np.any(leaf) for leaf in jax.tree.leaves(tree))}


def test_at_1024_pixels_both_networks_have_the_published_number_of_params():
    def size(network, *inputs):
        shapes = jax.eval_shape(lambda *inputs: network.init(KEY, *inputs, train=False), *inputs)
        return sum(leaf.size for leaf in jax.tree.leaves(shapes)) / 1e6

    image = jax.ShapeDtypeStruct((2, 1024, 1024, 3), jnp.float32)
    assert size(progan.Generator(1024, 3), jnp.zeros((2, 512))) == pytest.approx(23.1, abs=0.05)  # table 2
    assert size(progan.Discriminator(1024), image) == pytest.approx(23.1, abs=0.05)


def test_widths_double_as_pixels_halve_up_to_the_widest():
    assert progan.stage_widths(1024, None, 512) == (512, 512, 512, 512, 256, 128, 64, 32, 16)
    assert progan.stage_widths(32, 8, 30) == (30, 30, 16, 8)


@pytest.mark.parametrize("stage", [0, 1, None])
def test_params_do_not_depend_on_the_stage_at_the_start(stage, trees):
    pixels = 16 if stage is None else 4 << stage
    generator, discriminator = jax.eval_shape(
        lambda: (
            GENERATOR.init(KEY, LATENT, train=False, stage=stage),
            DISCRIMINATOR.init(KEY, IMAGE[:, :pixels, :pixels], train=False, stage=stage),
        )
    )
    assert jax.tree.map(jnp.shape, (generator, discriminator)) == jax.tree.map(jnp.shape, trees)


def test_fading_in_begins_with_the_stage_before_and_ends_with_its_own(trees):
    @jax.jit
    def images(alpha):
        fading = GENERATOR.apply(trees[0], LATENT, train=True, alpha=alpha)
        own = GENERATOR.apply(trees[0], LATENT, train=True)
        return fading, own, GENERATOR.apply(trees[0], LATENT, train=True, stage=1)

    begun, own, before = images(0.0)
    assert (own.shape, before.shape) == ((4, 16, 16, 1), (4, 8, 8, 1))
    np.testing.assert_array_equal(begun, box_upsample(before))
    np.testing.assert_array_equal(images(1.0)[0], own)
    np.testing.assert_allclose(images(0.25)[0], 0.75 * begun + 0.25 * own, rtol=1e-4, atol=1e-5)
    assert not np.allclose(begun, own)


def test_the_discriminator_fades_from_the_halved_image(trees):
    @jax.jit
    def logits(alpha):
        fading = DISCRIMINATOR.apply(trees[1], IMAGE, train=True, alpha=alpha)
        own = DISCRIMINATOR.apply(trees[1], IMAGE, train=True)
        before = DISCRIMINATOR.apply(trees[1], box_downsample(IMAGE), train=True, stage=1)
        return fading.logits, own.logits, before.logits

    begun, own, before = logits(0.0)
    np.testing.assert_allclose(begun, before, rtol=1e-5)
    np.testing.assert_allclose(logits(1.0)[0], own, rtol=1e-5)
    assert not np.allclose(begun, own)


@pytest.mark.parametrize(("alpha", "rgb"), [(1.0, {"8"}), (jnp.float32(0.5), {"4", "8"})], ids=["whole", "fading"])
def test_gradients_of_inactive_stages_are_zero(alpha, rgb, trees):
    def loss(trees):
        fakes = GENERATOR.apply(trees[0], LATENT, train=True, stage=1, alpha=alpha)
        judged = DISCRIMINATOR.apply(trees[1], fakes, train=True, stage=1, alpha=alpha)
        return jnp.sin(judged.logits).sum()

    generator, discriminator = jax.jit(jax.grad(loss))(trees)
    assert used(generator) == {"stem", "conv_4", "block_8"} | {f"to_rgb_{pixels}" for pixels in rgb}
    expected = {"conv_4", "features", "logit", "block_8"}
    assert used(discriminator) == expected | {f"from_rgb_{pixels}" for pixels in rgb}


def test_the_signal_keeps_its_size_through_all_stages():
    network = progan.Generator(32, 50, max_width=32)

    def squares():
        tree = network.init(KEY, LATENT, train=False)
        return [jnp.square(network.apply(tree, LATENT, train=True, stage=stage)).mean() for stage in range(4)]

    np.testing.assert_allclose(jax.jit(squares)(), 1, atol=0.2)  # pixel norm, then RGB layers of unit gain


@pytest.mark.parametrize("conditioning", ["classifier", "projection"])
def test_labels_reach_both_networks(conditioning):
    generator = progan.Generator(8, 1, 3, max_width=6)
    discriminator = progan.Discriminator(8, 3, conditioning, max_width=6)

    @jax.jit
    def run(label):
        images, _ = generator.init_with_output(KEY, LATENT, label, train=False)
        return images, discriminator.init_with_output(KEY, IMAGE[:, :8, :8], label, train=False)[0]

    (one, judged), (other, judged_other) = run(LABEL), run(LABEL.at[0].set(1))
    assert not np.allclose(one[0], other[0])
    np.testing.assert_array_equal(one[1:], other[1:])
    assert np.allclose(judged.logits, judged_other.logits) == (conditioning == "classifier")
    assert (judged.class_logits is None) == (conditioning == "projection")


def test_what_does_not_fit_is_refused():
    with pytest.raises(UserError, match="resolution 12, expected a power of two of at least 8"):
        GENERATOR.clone(resolution=12).init(KEY, LATENT, train=False)
    with pytest.raises(UserError, match="stage 3, expected 0 to 2"):
        GENERATOR.init(KEY, LATENT, train=False, stage=3)
    with pytest.raises(UserError, match="images of 16x16, expected 8 pixels at stage 1"):
        DISCRIMINATOR.init(KEY, IMAGE, train=False, stage=1)
    with pytest.raises(UserError, match="conditioning 'norm'"):
        progan.Generator(8, 1, 3, "norm").init(KEY, LATENT, LABEL, train=False)
    with pytest.raises(UserError, match="conditioning 'concat'"):
        progan.Discriminator(8, 3, "concat", max_width=4).init(KEY, IMAGE[:, :8, :8], LABEL, train=False)


def test_half_precision_networks_answer_in_float32():
    generator = progan.Generator(8, 1, max_width=6, dtype=jnp.bfloat16)
    discriminator = progan.Discriminator(8, max_width=6, dtype=jnp.bfloat16)

    def shapes(alpha):
        images, _ = generator.init_with_output(KEY, LATENT, train=False, alpha=alpha)
        return images, discriminator.init_with_output(KEY, images, train=False, alpha=alpha)

    images, (judged, tree) = jax.eval_shape(shapes, jnp.float32(0.5))
    assert (images.dtype, judged.logits.dtype, judged.features.dtype) == (jnp.float32, jnp.float32, jnp.bfloat16)
    assert {leaf.dtype for leaf in jax.tree.leaves(tree)} == {jnp.dtype("float32")}


def test_resampling_is_that_of_repeated_pixels_and_means(trees):
    def convolved(layer, x):
        module = EqualizedConv(layer["bias"].size)
        return module.apply({"params": layer}, x)

    generator, discriminator = (tree["params"] for tree in trees)
    block = generator["block_8"]
    x = jax.random.normal(KEY, (2, 4, 4, 6))
    y = pixel_norm(leaky_relu(convolved(block["conv_0"], box_upsample(x))))
    y = pixel_norm(leaky_relu(convolved(block["conv_1"], y)))
    ours = progan._UpBlock(6, jnp.float32).apply({"params": block}, x)
    np.testing.assert_allclose(ours, y, rtol=1e-4, atol=1e-5)
    block = discriminator["block_8"]
    y = box_downsample(convolved(block["conv_1"], leaky_relu(convolved(block["conv_0"], x))))
    ours = progan._DownBlock(6, 6, jnp.float32).apply({"params": block}, x)
    np.testing.assert_allclose(ours, leaky_relu(y), rtol=1e-4, atol=1e-5)

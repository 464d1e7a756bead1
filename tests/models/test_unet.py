"""U-Nets: sizes, gates, residuals, what a pixel sees; pix2pix's generator; Real-ESRGAN's discriminator."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxgan.errors import UserError
from jaxgan.layers.filling import fill_holes
from jaxgan.models import unet

KEY = jax.random.key(0, impl="unsafe_rbg")  # its normal numbers compile in a seventh of the time
IMAGE = jax.random.uniform(jax.random.key(1), (2, 8, 12, 3), minval=-1.0)
SMALL = {"base_width": 2, "halvings": 2}


def made(network, x):
    return jax.jit(lambda: network.init(KEY, x, train=False))()


def shapes(network, size, channels=3):
    x = jax.ShapeDtypeStruct((2, *size, channels), jnp.float32)
    return jax.eval_shape(lambda x: network.init_with_output(KEY, x, train=False), x)


def count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree["params"]))


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (8, 16), (13, 6)])
def test_any_size(size, gated):
    image, tree = shapes(unet.Generator(3, gated=gated, **SMALL), size, 4)
    assert (image.shape, image.dtype) == ((2, *size, 3), jnp.float32)
    assert tree["params"]["down_0"]["kernel"].shape == (4, 4, 2, 8 if gated else 4)
    image, _ = shapes(unet.Translator(1, **SMALL), size)
    assert image.shape == (2, *size, 1)
    judged, _ = shapes(unet.Discriminator(**SMALL), size)
    assert (judged.logits.shape, judged.logits.dtype) == ((2, *size), jnp.float32)


def test_a_residual_network_starts_as_the_identity_and_learns():
    network, condition = unet.Generator(2, residual=True, **SMALL), 2 * IMAGE
    tree = made(network, condition)

    def loss(params):
        image = network.apply({"params": params}, condition, train=True)
        return jnp.square(image).mean(), image

    gradient, image = jax.jit(jax.grad(loss, has_aux=True))(tree["params"])
    np.testing.assert_array_equal(image, condition[..., :2])  # not bounded
    assert np.abs(gradient["image"]["kernel"]).max() > 0


def test_a_filling_network_starts_from_the_smooth_filling():
    network = unet.Generator(3, residual=True, filled=True, **SMALL)
    hole = jnp.zeros((1, 24, 40, 1)).at[:, 4:12, 9:20].set(1.0)
    image = jnp.tile(jnp.linspace(-1, 1, 40)[None, None, :, None], (1, 24, 1, 3))
    condition = jnp.concatenate([image * (1 - hole), hole], axis=-1)
    made_at_start, _ = jax.jit(lambda: network.init_with_output(KEY, condition, train=False))()
    np.testing.assert_allclose(made_at_start, jax.jit(fill_holes)(image, hole), atol=1e-6)
    assert network.receptive_field is None


def test_a_residual_of_too_few_channels_is_refused():
    with pytest.raises(UserError, match="conditions of 3 channels, expected 4 or more"):
        shapes(unet.Generator(4, residual=True), (8, 8))


@pytest.mark.parametrize("gated", [False, True])
def test_an_image_that_is_no_residual_is_bounded_and_not_saturated(gated):
    network = unet.Generator(3, base_width=8, halvings=1, gated=gated)
    image, _ = jax.jit(lambda: network.init_with_output(KEY, IMAGE, train=False))()
    assert np.abs(image).max() < 1
    assert 0.05 < float(image.std()) < 0.9


@pytest.mark.parametrize(
    ("options", "size"),
    [({"halvings": 1}, 32), ({"halvings": 2, "bottom": 1}, 56), ({"halvings": 1, "gated": True}, 32)],
)
def test_the_receptive_field_is_what_gradients_say(reach, options, size):
    network = unet.Generator(1, base_width=2, **options)
    assert reach(network, size, 1, network.multiple) == network.receptive_field


def test_crops_that_begin_at_a_multiple_are_treated_as_the_whole_is():
    network = unet.Generator(1, base_width=2, halvings=1)
    image = jax.random.uniform(KEY, (1, 40, 8, 1), minval=-1.0)
    tree, border, start = made(network, image), network.receptive_field, 3 * network.multiple
    whole, crop = jax.jit(lambda *images: [network.apply(tree, x, train=False) for x in images])(
        image, image[:, start:]
    )
    np.testing.assert_allclose(crop[:, border:], whole[:, start + border :], atol=1e-5)


def test_the_translator_is_that_of_pix2pix():
    network = unet.Translator(3, norm="batch")
    image, tree = shapes(network, (256, 256))
    assert image.shape == (2, 256, 256, 3)
    down = 3 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 4 * 512 * 512
    up = 512 * 512 + 3 * 1024 * 512 + 1024 * 256 + 512 * 128 + 256 * 64 + 128 * 3
    norms = 2 * (128 + 256 + 4 * 512) + 2 * (4 * 512 + 256 + 128 + 64)
    assert count(tree) == 16 * (down + up) + norms + 3 == 54_413_955
    assert network.receptive_field is None


def test_dropout_is_random_only_in_training_and_only_with_a_key():
    network = unet.Translator(3, base_width=4, halvings=2)
    tree = made(network, IMAGE)

    dropping = jax.jit(lambda key: network.apply(tree, IMAGE, train=True, rngs={"dropout": key}))
    still = jax.jit(lambda key: network.apply(tree, IMAGE, train=False, rngs={"dropout": key}))(KEY)
    without = jax.jit(lambda: network.apply(tree, IMAGE, train=True))()
    np.testing.assert_array_equal(without, still)
    first, again, second = (dropping(jax.random.key(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, second)
    assert not np.allclose(first, still)


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_only_batch_norm_of_the_translator_mixes_images(norm):
    network = unet.Translator(3, base_width=4, halvings=3, norm=norm)
    tree = made(network, IMAGE)
    apply = jax.jit(lambda x: network.apply(tree, x, train=True, mutable=["batch_stats"])[0])
    one, other = apply(IMAGE), apply(IMAGE.at[0].multiply(-1))
    assert np.allclose(one[1], other[1], atol=1e-6) == (norm == "instance")


def test_the_discriminator_is_that_of_real_esrgan():
    judged, tree = shapes(unet.Discriminator(), (64, 64))
    assert judged.logits.shape == (2, 64, 64)
    assert [each.shape[1:] for each in judged.features] == [
        (size, size, width)
        for size, width in ((64, 64), (32, 128), (16, 256), (8, 512), (16, 256), (32, 128), (64, 64))
    ]
    down = 16 * (64 * 128 + 128 * 256 + 256 * 512)
    up = 9 * (512 * 256 + 256 * 128 + 128 * 64)
    ends = 9 * 3 * 64 + 64 + 2 * 9 * 64 * 64 + 9 * 64 + 1
    assert count(tree) == down + up + ends == 4_376_897
    assert len(tree["spectral"]) == 8


def test_the_discriminator_is_as_described():
    network = unet.Discriminator(base_width=2, halvings=2, norm="none")
    params = made(network, IMAGE)["params"]

    def convolved(x, name, stride=1):
        layout, padding = ("NHWC", "HWIO", "NHWC"), [(1, 1), (1, 1)]
        kernel = params[name]["kernel"]
        y = lax.conv_general_dilated(x, kernel, (stride, stride), padding, dimension_numbers=layout)
        return y + params[name].get("bias", 0)

    def active(x):
        return jnp.where(x > 0, x, 0.2 * x)

    def larger(x):
        b, h, w, c = x.shape
        return jax.image.resize(x, (b, 2 * h, 2 * w, c), "linear")

    def reference():
        first = active(convolved(IMAGE, "stem"))
        second = active(convolved(first, "down_0", 2))
        x = active(convolved(second, "down_1", 2))
        x = active(convolved(larger(x), "up_1")) + second
        x = active(convolved(larger(x), "up_0")) + first
        x = active(convolved(active(convolved(x, "last_0")), "last_1"))
        return convolved(x, "logits")[..., 0]

    judged, expected = jax.jit(lambda: (network.apply({"params": params}, IMAGE, train=True), reference()))()
    np.testing.assert_allclose(judged.logits, expected, atol=1e-5)


def test_spectral_norm_moves_in_training():
    network = unet.Discriminator(base_width=2, halvings=1)
    tree = made(network, IMAGE)
    judged, moved = jax.jit(lambda: network.apply(tree, IMAGE, train=True, mutable=["spectral"]))()
    pairs = zip(*map(jax.tree.leaves, (tree["spectral"], moved["spectral"])))
    assert all((a != b).any() for a, b in pairs if a.ndim == 0)  # largest singular values
    bare = jax.jit(lambda: network.clone(norm="none").apply({"params": tree["params"]}, IMAGE, train=True))()
    assert not np.allclose(judged.logits, bare.logits)


def test_half_precision_networks_have_gradients_and_logits_in_float32():
    generator = unet.Generator(3, gated=True, dtype=jnp.bfloat16, **SMALL)
    discriminator = unet.Discriminator(dtype=jnp.bfloat16, **SMALL)

    def loss(params, variables):
        image = generator.apply({"params": params[0]}, IMAGE, train=True)
        judged = discriminator.apply({**variables, "params": params[1]}, image, train=True)
        assert (image.dtype, judged.logits.dtype, judged.features[0].dtype) == (jnp.float32, jnp.float32, jnp.bfloat16)
        return jnp.sin(judged.logits).sum()

    trees = [jax.eval_shape(lambda n=n: n.init(KEY, IMAGE, train=False)) for n in (generator, discriminator)]
    found = jax.eval_shape(jax.grad(loss), [tree["params"] for tree in trees], trees[1])
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(found))

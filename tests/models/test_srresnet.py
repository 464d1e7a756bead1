"""SRResNet and SRGAN: the networks by their formulas, sizes, scales, what a pixel sees."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from PIL import Image

from jaxgan.errors import UserError
from jaxgan.models import srresnet

KEY = jax.random.key(0, impl="unsafe_rbg")  # its normal numbers compile in a seventh of the time
CONDITION = jax.random.uniform(jax.random.key(1), (2, 6, 5, 3), minval=-1.0)
IMAGE = jax.random.uniform(jax.random.key(2), (3, 13, 10, 3), minval=-1.0)


def made(network, x):
    return jax.jit(lambda: network.init(KEY, x, train=False))()


def shapes(network, size, channels=3):
    x = jax.ShapeDtypeStruct((2, *size, channels), jnp.float32)
    return jax.eval_shape(lambda x: network.init_with_output(KEY, x, train=False), x)


def count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree["params"]))


def conv(inputs, outputs, kernel=3, bias=True):
    return kernel**2 * inputs * outputs + bias * outputs


def test_the_classic_network_has_the_parameters_of_its_description():
    image, tree = shapes(srresnet.Generator(3), (24, 24))
    assert image.shape == (2, 48, 48, 3)
    ends = conv(3, 64, 9) + conv(64, 64) + conv(64, 64) + conv(64, 256) + conv(64, 3, 9)
    assert count(tree) == ends + 16 * 2 * conv(64, 64) == 1_434_435


def test_the_published_network_has_the_parameters_of_figure_4():
    image, tree = shapes(srresnet.Generator(3, 4, "srgan", "batch"), (24, 24))
    assert image.shape == (2, 96, 96, 3)
    normed = conv(64, 64, bias=False) + 2 * 64
    blocks = 16 * (2 * normed + 1) + normed
    assert count(tree) == conv(3, 64, 9) + 1 + blocks + 2 * (conv(64, 256) + 1) + conv(64, 3, 9) == 1_547_350


@pytest.mark.parametrize("variant", ["classic", "srgan"])
@pytest.mark.parametrize("scale", [1, 2, 4, 8])
def test_any_size_at_every_scale(variant, scale):
    for size in ((1, 1), (7, 5)):
        image, _ = shapes(srresnet.Generator(1, scale, variant, "batch", base_width=4, blocks=1), size, 2)
        assert image.shape == (2, size[0] * scale, size[1] * scale, 1)
        assert image.dtype == jnp.float32


@pytest.mark.parametrize("scale", [0, 3, 16])
def test_other_scales_are_refused(scale):
    with pytest.raises(UserError, match=f"scale {scale}, expected 1, 2, 4 or 8"):
        shapes(srresnet.Generator(3, scale), (4, 4))


def shuffled(x):
    b, h, w, c = x.shape
    return x.reshape(b, h, w, c // 4, 2, 2).transpose(0, 1, 4, 2, 5, 3).reshape(b, 2 * h, 2 * w, c // 4)


def reference(variant, params, x, stages):
    """The descriptions of both networks, layer by layer."""

    def convolved(x, layer):
        layout = ("NHWC", "HWIO", "NHWC")
        return lax.conv_general_dilated(x, layer["kernel"], (1, 1), "SAME", dimension_numbers=layout) + layer["bias"]

    def active(x, slope):
        return jnp.where(x > 0, x, x * (slope["slope"] if variant == "srgan" else 0))

    x = first = active(convolved(x, params["stem"]), params.get("stem_prelu"))
    if variant == "classic":
        x = active(convolved(x, params["enter"]), None)
    for block in [params[name] for name in sorted(params) if name.startswith("block")]:
        x = x + convolved(active(convolved(x, block["conv_0"]), block.get("prelu")), block["conv_1"])
    x = convolved(x, params["leave"])
    x = active(x, None) if variant == "classic" else x + first
    for index in range(stages):
        x = shuffled(convolved(x, params[f"up_{index}"]))
        if variant == "srgan" or index < stages - 1:
            x = active(x, params.get(f"up_{index}_prelu"))
    return jnp.tanh(convolved(x, params["image"]))


@pytest.mark.parametrize(("variant", "scale", "blocks"), [("classic", 2, 2), ("classic", 4, 1), ("srgan", 4, 1)])
def test_the_networks_are_as_described(variant, scale, blocks):
    network = srresnet.Generator(3, scale, variant, base_width=4, blocks=blocks)
    params = made(network, CONDITION)["params"]
    leaves, tree = jax.tree.flatten(params)  # biases and slopes that are not those of the start
    keys = jax.random.split(KEY, len(leaves))
    moved = [leaf + 0.1 * jax.random.normal(key, leaf.shape) for leaf, key in zip(leaves, keys)]
    params = jax.tree.unflatten(tree, moved)
    image = jax.jit(lambda x: network.apply({"params": params}, x, train=True))(CONDITION)
    expected = jax.jit(lambda x: reference(variant, params, x, scale // 2))(CONDITION)
    np.testing.assert_allclose(image, expected, atol=1e-5)


@pytest.mark.parametrize(("variant", "scale"), [("classic", 2), ("srgan", 4), ("classic", 1)])
def test_the_receptive_field_is_what_gradients_say(reach, variant, scale):
    network = srresnet.Generator(1, scale, variant, base_width=6, blocks=1)
    assert reach(network, 27, 1) == network.receptive_field


def test_receptive_field_of_the_classic_network():
    assert srresnet.Generator(3).receptive_field == 4 + 1 + 16 * 2 + 1 + 1 + 2  # half of the last four pixels


def test_batch_statistics_move_in_training_and_keep_images_apart_when_applied():
    network = srresnet.Generator(3, 2, "srgan", "batch", base_width=4, blocks=1)
    tree = made(network, CONDITION)
    train = jax.jit(lambda x: network.apply(tree, x, train=True, mutable=["batch_stats"])[1])
    apply = jax.jit(lambda x: network.apply(tree, x, train=False))
    moved = train(CONDITION)
    changed = jax.tree.map(lambda a, b: bool((a != b).any()), tree["batch_stats"], moved["batch_stats"])
    assert all(jax.tree.leaves(changed))
    one, other = apply(CONDITION), apply(CONDITION.at[0].multiply(-1))
    assert not np.allclose(one[0], other[0])
    np.testing.assert_array_equal(one[1], other[1])


def test_the_discriminator_has_the_convolutions_of_figure_4():
    judged, tree = shapes(srresnet.Discriminator(norm="batch"), (96, 96))
    assert judged.logits.shape == (2,)
    assert [each.shape[1:] for each in judged.features] == [
        (size, size, width)
        for size, next_size, width in ((96, 48, 64), (48, 24, 128), (24, 12, 256), (12, 6, 512))
        for size in (size, next_size)
    ]
    widths = (64, 64, 128, 128, 256, 256, 512, 512)
    convolutions = sum(conv(i, o, bias=False) for i, o in zip((3, *widths), widths))
    norms = 64 + 2 * sum(widths[1:])  # the first has a bias instead
    assert count(tree) == convolutions + norms + 513 * 1024 + 1025


@pytest.mark.parametrize("norm", ["none", "spectral", "batch"])
def test_one_discriminator_judges_crops_of_any_size(norm):
    network = srresnet.Discriminator(base_width=2, halvings=2, norm=norm)
    tree = made(network, IMAGE)
    judge = jax.jit(lambda x: network.apply(tree, x, train=True, mutable=["batch_stats", "spectral"]))
    judged, moved = judge(IMAGE)
    assert judged.logits.shape == judge(IMAGE[:, :7, :1])[0].logits.shape == (3,)
    assert judged.logits.dtype == jnp.float32
    assert np.isfinite(judged.logits).all()
    assert set(moved) == {"none": set(), "spectral": {"spectral"}, "batch": {"batch_stats"}}[norm]
    other = judge(IMAGE.at[0].multiply(-1))[0].logits
    assert not np.isclose(judged.logits[0], other[0], rtol=1e-4)
    assert np.allclose(judged.logits[1:], other[1:], rtol=1e-4) == (norm != "batch")


def test_half_precision_networks_have_gradients_and_logits_in_float32():
    generator = srresnet.Generator(3, 2, "srgan", "batch", base_width=4, blocks=1, dtype=jnp.bfloat16)
    discriminator = srresnet.Discriminator(base_width=2, halvings=1, dtype=jnp.bfloat16)

    def loss(params, variables):
        tree = {**variables, "params": params[0]}
        image, _ = generator.apply(tree, CONDITION, train=True, mutable=["batch_stats"])
        judged = discriminator.apply({"params": params[1]}, image, train=True)
        assert (image.dtype, judged.logits.dtype, judged.features[0].dtype) == (jnp.float32, jnp.float32, jnp.bfloat16)
        return jnp.sin(judged.logits).sum()

    trees = [jax.eval_shape(lambda n=n: n.init(KEY, CONDITION, train=False)) for n in (generator, discriminator)]
    found = jax.eval_shape(jax.grad(loss), [tree["params"] for tree in trees], trees[0])
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(found))


def test_a_residual_begins_as_the_enlarged_condition():
    condition = jax.random.uniform(jax.random.key(0), (1, 6, 5, 3), minval=-1.0)
    network = srresnet.Generator(3, scale=2, base_width=4, blocks=1, residual=True)
    image, _ = network.init_with_output(jax.random.key(1), condition, train=False)
    channels = [
        Image.fromarray(np.asarray(condition[0, ..., c])).resize((10, 12), Image.Resampling.BICUBIC) for c in range(3)
    ]
    np.testing.assert_allclose(image[0], np.stack([np.asarray(c) for c in channels], axis=2), atol=1e-5)

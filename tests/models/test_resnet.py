"""SNGAN's residual networks: the published shapes, conditioning, spectral norm."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.errors import UserError
from jaxgan.models import resnet

KEY = jax.random.key(0)
LABEL = jnp.array([0, 1, 2, 0])
LATENT = jax.random.normal(jax.random.key(1), (4, 5))
IMAGE = jax.random.uniform(jax.random.key(2), (4, 8, 8, 1), minval=-1.0)


def shapes(network, *inputs):
    return jax.eval_shape(lambda *inputs: network.init_with_output(KEY, *inputs, train=True), *inputs)


def size(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree["params"]))


def conv(inputs, outputs, kernel=3):
    return kernel**2 * inputs * outputs + outputs


def test_the_networks_for_cifar_are_those_of_table_3():
    images, tree = shapes(resnet.Generator(32, 3), jnp.zeros((2, 128)))
    assert images.shape == (2, 32, 32, 3)
    block = 2 * conv(256, 256) + conv(256, 256, 1) + 4 * 256  # two norms
    assert size(tree) == (128 + 1) * 16 * 256 + 3 * block + 2 * 256 + conv(256, 3) == 4_276_739
    judged, tree = shapes(resnet.Discriminator(32), images)
    first = conv(3, 128) + conv(128, 128) + conv(3, 128, 1)
    down = 2 * conv(128, 128) + conv(128, 128, 1)
    assert size(tree) == first + down + 2 * 2 * conv(128, 128) + 129
    assert (judged.logits.shape, judged.features.shape) == ((2,), (2, 128))


@pytest.mark.parametrize(
    ("resolution", "stem", "up", "down", "halvings"),
    [
        (48, 6 * 6 * 512, (256, 128, 64), (64, 128, 256, 512, 1024), 4),  # tables 4
        (128, 4 * 4 * 1024, (1024, 512, 256, 128, 64), (64, 128, 256, 512, 1024, 1024), 5),  # and 5
    ],
)
def test_larger_networks_are_those_of_the_tables(resolution, stem, up, down, halvings):
    images, tree = shapes(resnet.Generator(resolution, 3), jnp.zeros((2, 128)))
    assert images.shape == (2, resolution, resolution, 3)
    assert tree["params"]["stem"]["kernel"].shape == (128, stem)
    blocks = [tree["params"][f"block_{index}"] for index in range(len(up))]
    assert tuple(block["conv_1"]["bias"].size for block in blocks) == up
    _, tree = shapes(resnet.Discriminator(resolution), images)
    assert tuple(tree["params"][f"block_{index}"]["conv_1"]["bias"].size for index in range(len(down))) == down
    assert "block_" + str(len(down)) not in tree["params"]
    assert resnet.discriminator_widths(resolution, None, 64) == (down, halvings)


@pytest.mark.parametrize("resolution", [8, 16, 64, 256])
def test_any_power_of_two(resolution):
    images, _ = shapes(resnet.Generator(resolution, 1, base_width=2), jnp.zeros((2, 3)))
    assert images.shape == (2, resolution, resolution, 1)
    judged, _ = shapes(resnet.Discriminator(resolution, base_width=2), images)
    assert judged.logits.shape == (2,)


@pytest.mark.parametrize("resolution", [0, 4, 6, 28, 40])
def test_other_resolutions_are_refused(resolution):
    with pytest.raises(UserError, match=f"resolution {resolution}, expected a power of two of at least 8"):
        resnet.Generator(resolution, 1).init(KEY, LATENT, train=False)


def test_widths_that_do_not_fit_are_refused():
    with pytest.raises(UserError, match="3 widths, expected 2 at resolution 16"):
        resnet.Generator(16, 1, widths=(4, 4, 4)).init(KEY, LATENT, train=False)
    with pytest.raises(UserError, match="no widths"):
        resnet.Discriminator(8, widths=()).init(KEY, IMAGE, train=False)


@pytest.mark.parametrize("conditioning", ["norm", "concat"])
def test_the_generator_gets_its_labels(conditioning):
    network = resnet.Generator(8, 1, 3, conditioning, widths=(6,))
    tree = jax.jit(lambda: network.init(KEY, LATENT, LABEL, train=False))()
    if conditioning == "norm":  # whose classes start equal
        table = tree["params"]["block_0"]["norm_0"]["bias"]["embedding"]
        tree["params"]["block_0"]["norm_0"]["bias"]["embedding"] = table.at[1].set(1.0)
    forward = jax.jit(lambda label: network.apply(tree, LATENT, label, train=False))
    one, other = forward(LABEL), forward(LABEL.at[0].set(1))
    assert not np.allclose(one[0], other[0])
    np.testing.assert_array_equal(one[1:], other[1:])


@pytest.mark.parametrize("conditioning", ["projection", "concat", "classifier"])
def test_the_discriminator_gets_its_labels(conditioning):
    network = resnet.Discriminator(8, 3, conditioning, widths=(6,))
    tree = jax.jit(lambda: network.init(KEY, IMAGE, LABEL, train=False))()
    forward = jax.jit(lambda label: network.apply(tree, IMAGE, label, train=False))
    one, other = forward(LABEL), forward(LABEL.at[0].set(1))
    assert (one.class_logits is not None) == (conditioning == "classifier")
    if conditioning == "classifier":
        assert one.class_logits.shape == (4, 3)
        assert one.class_logits.dtype == jnp.float32
    assert np.allclose(one.logits[0], other.logits[0]) == (conditioning == "classifier")
    np.testing.assert_array_equal(one.logits[1:], other.logits[1:])


def test_without_spectral_norm_the_params_are_the_same():
    trees = [
        shapes(resnet.Discriminator(16, 3, widths=(4, 6), norm=norm), jnp.zeros((2, 16, 16, 1)), LABEL[:2])[1]
        for norm in ("spectral", "none")
    ]
    assert trees[0]["params"] == trees[1]["params"]
    assert set(trees[1]) == {"params"}


def test_half_precision_networks_have_finite_gradients_in_float32():
    generator = resnet.Generator(8, 1, 3, widths=(6,), dtype=jnp.bfloat16)
    discriminator = resnet.Discriminator(8, 3, widths=(6,), dtype=jnp.bfloat16)
    trees = jax.jit(
        lambda: (generator.init(KEY, LATENT, LABEL, train=False), discriminator.init(KEY, IMAGE, LABEL, train=False))
    )()

    def loss(params):
        trained = [{**tree, "params": part} for tree, part in zip(trees, params)]
        fakes, _ = generator.apply(trained[0], LATENT, LABEL, train=True, mutable=["batch_stats"])
        judged, moved = discriminator.apply(trained[1], fakes, LABEL, train=True, mutable=["spectral"])
        return jnp.sin(judged.logits).sum(), (fakes, judged, moved)

    gradients, (fakes, judged, _) = jax.jit(jax.grad(loss, has_aux=True))(tuple(tree["params"] for tree in trees))
    assert (fakes.dtype, judged.logits.dtype, judged.features.dtype) == (jnp.float32, jnp.float32, jnp.bfloat16)
    assert all(leaf.dtype == jnp.float32 and np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))
    assert np.abs(gradients[0]["stem"]["kernel"]).max() > 0

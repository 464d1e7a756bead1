"""The classic GAN of fully connected layers."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.errors import UserError
from jaxgan.models import mlp

KEY = jax.random.key(0)


def count(network, *inputs):
    tree = jax.eval_shape(lambda: network.init(KEY, *inputs, train=False))
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


@pytest.mark.quick
def test_the_defaults_are_the_classic_nets():
    layers = [(100, 256), (256, 512), (512, 1024), (1024, 784)]
    assert count(mlp.Generator(28, 1), jnp.zeros((1, 100))) == sum(i * o + o for i, o in layers) == 1_486_352
    layers = [(784, 1024), (1024, 512), (512, 256), (256, 1)]
    assert count(mlp.Discriminator(), jnp.zeros((1, 28, 28, 1))) == sum(i * o + o for i, o in layers) == 1_460_225


def test_kernels_start_uniform_within_one_over_the_root_of_their_inputs():
    params = mlp.Discriminator(widths=(400,)).init(KEY, jnp.zeros((1, 8, 8, 1)), train=False)["params"]
    kernel = np.asarray(params["dense_0"]["kernel"])
    assert np.abs(kernel).max() <= 1 / 8
    assert kernel.std() == pytest.approx(1 / 8 / 3**0.5, rel=0.02)  # of the uniform distribution


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_networks_compute_in_their_dtype_and_answer_in_float32(dtype):
    generator = mlp.Generator(4, 3, num_classes=2, widths=(8,), dtype=dtype)
    discriminator = mlp.Discriminator(num_classes=2, widths=(8,), dtype=dtype)
    latent, label = jax.random.normal(KEY, (3, 5)), jnp.array([0, 1, 0])
    tree = jax.jit(partial(generator.init, train=False))(KEY, latent, label)
    image = jax.jit(partial(generator.apply, train=True))(tree, 100 * latent, label)
    assert image.shape == (3, 4, 4, 3)
    assert 0.9 < np.abs(image).max() <= 1
    judged, judge = jax.jit(partial(discriminator.init_with_output, train=False))(KEY, image, label)
    assert judged.logits.shape == (3,)
    assert judged.features.dtype == dtype
    assert {leaf.dtype for leaf in jax.tree.leaves((tree, judge, image, judged.logits))} == {jnp.dtype("float32")}


def test_the_label_counts():
    latent, image = jnp.ones((2, 5)), jnp.ones((2, 4, 4, 1))
    label = jnp.array([0, 1])
    images, _ = mlp.Generator(4, 1, num_classes=2, widths=(8,)).init_with_output(KEY, latent, label)
    judged, _ = mlp.Discriminator(num_classes=2, widths=(8,)).init_with_output(KEY, image, label)
    assert not np.allclose(images[0], images[1])
    assert not np.allclose(judged.logits[0], judged.logits[1])


def test_the_label_can_be_guessed():
    image, label = jax.random.normal(KEY, (2, 4, 4, 1)), jnp.array([0, 1])
    network = mlp.Discriminator(num_classes=3, conditioning="classifier", widths=(8,))
    judged, tree = network.init_with_output(KEY, image, label)
    layer = tree["params"]["class_logits"]
    np.testing.assert_allclose(judged.class_logits, judged.features @ layer["kernel"] + layer["bias"], rtol=1e-4)
    assert "label" not in tree["params"]


def test_other_conditioning_is_refused():
    with pytest.raises(UserError, match="conditioning 'projection'"):
        mlp.Discriminator(3, "projection").init(KEY, jnp.ones((2, 4, 4, 1)), jnp.array([0, 1]))
    with pytest.raises(UserError, match="conditioning 'norm'"):
        mlp.Generator(4, 1, 3, "norm").init(KEY, jnp.ones((2, 5)), jnp.array([0, 1]))

"""PatchGAN: the published shapes, the receptive field of a logit, images of any size."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.models import patchgan

KEY = jax.random.key(0, impl="unsafe_rbg")  # its normal numbers compile in a seventh of the time
IMAGE = jax.random.uniform(jax.random.key(2), (3, 16, 20, 3), minval=-1.0)


def made(network, x):
    return jax.jit(lambda: network.init(KEY, x, train=False))()


def test_the_network_of_the_paper():
    image = jax.ShapeDtypeStruct((2, 256, 256, 6), jnp.float32)
    network = patchgan.Discriminator(norm="batch")
    judged, tree = jax.eval_shape(lambda x: network.init_with_output(KEY, x, train=False), image)
    assert judged.logits.shape == (2, 30, 30)
    assert [each.shape[1:] for each in judged.features] == [(128, 128, 64), (64, 64, 128), (32, 32, 256), (31, 31, 512)]
    kernels = 16 * (6 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 512)
    norms = 2 * (128 + 256 + 512)
    assert sum(leaf.size for leaf in jax.tree.leaves(tree["params"])) == kernels + 64 + norms + 1 == 2_768_705


@pytest.mark.parametrize(("halvings", "size"), [(3, 70), (1, 16)])
def test_a_logit_sees_a_patch(halvings, size):
    network = patchgan.Discriminator(base_width=2, halvings=halvings, norm="none")
    assert network.patch_size == size
    image = jax.random.uniform(KEY, (1, 96, 96, 1), minval=-1.0)
    tree = made(network, image)

    def logit(image, row):
        return network.apply(tree, image, train=False).logits[0, row, 3]

    gradient = jax.jit(jax.grad(logit))

    def rows(row):
        return np.flatnonzero(np.asarray(gradient(image, row)).any(axis=(0, 2, 3)))

    first, below = rows(3), rows(4)
    assert (first[0] > 0, len(first), first[-1] - first[0] + 1) == (True, size, size)
    np.testing.assert_array_equal(below, first + 2**halvings)


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (24, 40), (33, 9)])
def test_images_of_any_size_have_a_patch(size):
    network = patchgan.Discriminator(base_width=2)
    image = jax.ShapeDtypeStruct((2, *size, 1), jnp.float32)
    judged, _ = jax.eval_shape(lambda x: network.init_with_output(KEY, x, train=False), image)
    assert judged.logits.shape == (2, *(max(length, 24) // 8 - 2 for length in size))


def test_small_images_are_padded_with_zeros_on_all_sides():
    network = patchgan.Discriminator(base_width=2, halvings=1, norm="none")
    small = IMAGE[:, :3, :4]
    tree = made(network, small)
    bordered = jnp.pad(small, ((0, 0), (1, 2), (1, 1), (0, 0)))
    judge = jax.jit(lambda x: network.apply(tree, x, train=False).logits)
    np.testing.assert_allclose(judge(small), judge(bordered), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("norm", ["instance", "none", "batch", "spectral"])
def test_every_norm_but_that_of_the_batch_keeps_images_apart(norm):
    network = patchgan.Discriminator(base_width=2, halvings=1, norm=norm)
    tree = made(network, IMAGE)
    judge = jax.jit(lambda x: network.apply(tree, x, train=True, mutable=["batch_stats", "spectral"]))
    judged, moved = judge(IMAGE)
    assert judged.logits.shape == (3, 6, 8)
    assert judged.logits.dtype == jnp.float32
    assert set(moved) == {"batch": {"batch_stats"}, "spectral": {"spectral"}}.get(norm, set())
    other = judge(IMAGE.at[0].multiply(-1))[0].logits
    assert not np.allclose(judged.logits[0], other[0], rtol=1e-4)
    assert np.allclose(judged.logits[1:], other[1:], rtol=1e-4, atol=1e-6) == (norm != "batch")


def test_instance_norm_takes_out_contrast_behind_the_first_convolution():
    network = patchgan.Discriminator(base_width=4, halvings=1)
    tree = made(network, IMAGE)
    features = jax.jit(lambda x: network.apply(tree, x, train=False).features)(30 * IMAGE)
    for each in features[1:]:  # by the slope, 1 of what is above zero and 5 of what is below
        restored = jnp.where(each < 0, 5 * each, each)
        np.testing.assert_allclose(restored.mean(axis=(1, 2)), 0, atol=1e-4)
        np.testing.assert_allclose(restored.var(axis=(1, 2)), 1, rtol=0.05)


def test_half_precision_logits_are_float32():
    network = patchgan.Discriminator(base_width=2, halvings=1, dtype=jnp.bfloat16)
    judged, tree = jax.eval_shape(lambda: network.init_with_output(KEY, IMAGE, train=False))
    assert (judged.logits.dtype, judged.features[0].dtype) == (jnp.float32, jnp.bfloat16)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(tree))


CLIP = jax.random.uniform(jax.random.key(3), (2, 5, 16, 12, 3), minval=-1.0)


def test_a_logit_of_clips_sees_pixels_and_frames():
    network = patchgan.ClipDiscriminator(base_width=2, halvings=1, norm="none")
    clip = jax.random.uniform(KEY, (1, 9, 24, 24, 1), minval=-1.0)
    tree = made(network, clip)
    logits = jax.eval_shape(lambda: network.apply(tree, clip, train=False).logits)
    assert logits.shape == (1, 9, *jax.eval_shape(lambda: _picture_logits(clip[:, 0])).shape[1:])
    gradient = jax.jit(jax.grad(lambda clip: network.apply(tree, clip, train=False).logits[0, 4, 4, 4]))(clip)
    seen = [np.flatnonzero(np.asarray(gradient).any(axis=axes)) for axes in ((0, 2, 3, 4), (0, 1, 3, 4))]
    np.testing.assert_array_equal(seen[0], np.arange(2, 7))  # a frame before and after for each convolution
    assert len(seen[1]) == seen[1][-1] - seen[1][0] + 1 == patchgan.Discriminator(halvings=1).patch_size


def _picture_logits(image):
    network = patchgan.Discriminator(base_width=2, halvings=1, norm="none")
    return network.init_with_output(KEY, image, train=False)[0].logits


def test_the_discriminator_of_clips_is_one_of_factorised_convolutions():
    network = patchgan.ClipDiscriminator(base_width=2, halvings=1, norm="none")
    tree = made(network, CLIP)
    params = jax.tree.map(lambda each: each + 0.05, tree["params"])

    def convolved(x, name, strides=(1, 2, 2), layout=("NDHWC", "DHWIO", "NDHWC")):
        kernel = params[name]["kernel"]
        kernel, sides = (kernel[:, None, None], 0) if kernel.ndim == 3 else (kernel[None], 1)
        padding = [(1 - sides, 1 - sides), (sides, sides), (sides, sides)]
        y = jax.lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=layout)
        return y + params[name]["bias"]

    def reference():
        x = jax.nn.leaky_relu(convolved(CLIP, "space_0"), 0.2)
        x = jax.nn.leaky_relu(convolved(x, "time_0", (1, 1, 1)), 0.2)
        x = jax.nn.leaky_relu(convolved(x, "space_1", (1, 1, 1)), 0.2)
        x = jax.nn.leaky_relu(convolved(x, "time_1", (1, 1, 1)), 0.2)
        return convolved(x, "logits", (1, 1, 1))[..., 0]

    judged, expected = jax.jit(lambda: (network.apply({"params": params}, CLIP, train=True).logits, reference()))()
    np.testing.assert_allclose(judged, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [(1, 1), (24, 40)])
def test_clips_of_any_size_have_a_patch_and_a_spectral_norm(size):
    network = patchgan.ClipDiscriminator(base_width=2, dtype=jnp.bfloat16)
    clip = jax.ShapeDtypeStruct((2, 4, *size, 1), jnp.float32)
    judged, tree = jax.eval_shape(lambda x: network.init_with_output(KEY, x, train=False), clip)
    assert judged.logits.shape == (2, 4, *(max(length, 24) // 8 - 2 for length in size))
    assert (judged.logits.dtype, judged.features[0].dtype, len(judged.features)) == (jnp.float32, jnp.bfloat16, 4)
    assert set(tree["spectral"]) == {f"{name}_norm" for name in tree["params"]}

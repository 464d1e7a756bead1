"""Layers of images on clips: every frame as if it were a picture, but where a layer looks at the whole batch."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.layers import resampling
from jaxgan.layers.attention import SelfAttention
from jaxgan.layers.conv import Conv, ConvTranspose
from jaxgan.layers.depth_to_space import depth_to_space
from jaxgan.layers.equalized import EqualizedConv, pixel_norm
from jaxgan.layers.filling import fill_holes
from jaxgan.layers.fourier import FastFourierConv
from jaxgan.layers.instance_norm import instance_norm
from jaxgan.layers.minibatch_stddev import minibatch_stddev
from jaxgan.layers.normalization import BatchNorm, ConditionalBatchNorm
from jaxgan.layers.padding import padded_to, reflect_pad
from jaxgan.layers.residual import DownConv, UpConv
from jaxgan.layers.spectral import spectral_norm

CLIPS = jax.random.normal(jax.random.key(0), (2, 3, 6, 4, 4))
KEY = jax.random.key(1)
FUNCTIONS = {
    "upsample": resampling.upsample,
    "downsample": resampling.downsample,
    "blur": lambda x: resampling.blur(x, (2, 1)),
    "box_upsample": resampling.box_upsample,
    "box_downsample": resampling.box_downsample,
    "depth_to_space": lambda x: depth_to_space(x, 2),
    "reflect_pad": lambda x: reflect_pad(x, 1),
    "padded_to": lambda x: padded_to(x, 5),
    "instance_norm": instance_norm,
    "pixel_norm": pixel_norm,
    "fill_holes": lambda x: fill_holes(x, (x[..., :1] > 0.5).astype(jnp.float32)),
}


class Spectral(nn.Module):
    @nn.compact
    def __call__(self, x):
        return spectral_norm(Conv(3, name="conv"), x, train=True)


LAYERS = {
    "conv": (Conv(3), {}),
    "conv_strided": (Conv(3, 4, stride=2, padding=1), {}),
    "conv_grouped": (Conv(4, groups=2), {}),
    "conv_transpose": (ConvTranspose(3), {}),
    "equalized": (EqualizedConv(3), {}),
    "up_conv": (UpConv(3), {}),
    "down_conv": (DownConv(3), {}),
    "attention": (SelfAttention(), {"train": True}),
    "spectral": (Spectral(), {}),
    "fourier": (FastFourierConv(4, 0.5), {"train": True}),  # its batch norms see all frames, folded or not
}


def folded(clips):
    return clips.reshape(-1, *clips.shape[2:])


def close(a, b, atol=1e-5):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=atol), a, b)


def gradients(function, x):
    """Of a loss, and of a penalty on that gradient."""
    first = jax.grad(lambda x: jnp.sin(function(x)).sum())
    return first(x), jax.grad(lambda x: jnp.square(first(x)).sum())(x)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_of_images_treats_each_frame_as_one(name):
    pictures, clips = jax.jit(FUNCTIONS[name])(folded(CLIPS)), jax.jit(FUNCTIONS[name])(CLIPS)
    assert clips.shape == (2, 3, *pictures.shape[1:])
    close(folded(clips), pictures, atol=0)


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_of_images_treats_each_frame_as_one(name):
    layer, options = LAYERS[name]
    tree = layer.init(KEY, folded(CLIPS), **options)
    assert jax.tree.map(jnp.shape, layer.init(KEY, CLIPS, **options)) == jax.tree.map(jnp.shape, tree)
    tree["params"] = jax.tree.map(lambda each: each + 0.1, tree["params"])  # attention starts as the identity
    apply = jax.jit(lambda x: layer.apply(tree, x, **options, mutable=["batch_stats", "spectral"]))
    (pictures, kept), (clips, also_kept) = apply(folded(CLIPS)), apply(CLIPS)
    assert clips.shape == (2, 3, *pictures.shape[1:])
    close((folded(clips), also_kept), (pictures, kept))


@pytest.mark.parametrize("function", [resampling.upsample, instance_norm])
def test_gradients_of_two_orders_on_clips_are_those_of_pictures(function):
    close([folded(each) for each in gradients(function, CLIPS)], list(gradients(function, folded(CLIPS))))


def test_batch_norm_takes_its_statistics_over_all_frames_of_all_clips():
    y, tree = BatchNorm().init_with_output(KEY, CLIPS, train=True)
    x = np.asarray(CLIPS, np.float64)
    mean, var = x.mean((0, 1, 2, 3)), x.var((0, 1, 2, 3))
    close(y, (x - mean) / np.sqrt(var + 1e-5))
    _, kept = BatchNorm().apply(tree, CLIPS, train=True, mutable=["batch_stats"])
    close(kept["batch_stats"], {"mean": 0.1 * mean, "var": 0.9 + 0.1 * var})


def test_a_conditional_batch_norm_has_one_gain_a_clip():
    norm, label = ConditionalBatchNorm(num_classes=3), jnp.array([2, 0])
    tree = norm.init(KEY, CLIPS, label, train=False)
    tree["params"]["scale"]["embedding"] = jnp.arange(12.0).reshape(3, 4)
    expected = CLIPS / np.sqrt(1 + 1e-5) * (1 + jnp.arange(12.0).reshape(3, 4)[label][:, None, None, None])
    close(norm.apply(tree, CLIPS, label, train=False), expected)


def test_the_minibatch_deviation_compares_clips_and_not_their_frames():
    moving = jnp.broadcast_to(jnp.arange(3.0)[:, None, None, None], (2, 3, 2, 2, 1))  # two clips that are the same
    close(minibatch_stddev(moving)[..., -1], np.full((2, 3, 2, 2), 1e-4))
    y = minibatch_stddev(CLIPS)
    assert y.shape == (2, 3, 6, 4, 5)
    as_channels = jnp.moveaxis(CLIPS, 1, 3).reshape(2, 6, 4, 12)  # as StyleGAN-V has frames where it takes it
    close(y[..., -1], np.broadcast_to(minibatch_stddev(as_channels)[:, None, ..., -1], (2, 3, 6, 4)))

"""The shapes of the classifier."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.models.classifier import Classifier, ClipClassifier, reduced


def shapes(size, channels):
    model = Classifier(num_classes=3, widths=(4, 6), hidden=5)
    image = jax.ShapeDtypeStruct((2, size, size, channels), jnp.float32)
    result, variables = jax.eval_shape(lambda x: model.init_with_output(jax.random.key(0), x), image)
    return result, jax.tree.map(lambda leaf: leaf.shape, variables["params"])


@pytest.mark.parametrize(("size", "texture"), [(8, 1), (16, 4), (28, 6), (64, 6), (100, 6)])
def test_any_size_gives_logits_hidden_layer_and_texture(size, texture):
    result, _ = shapes(size, 1)
    assert [part.shape for part in result] == [(2, 3), (2, 5), (2, texture)]


def test_tree_of_parameters():
    assert shapes(32, 3)[1] == {
        "conv0": {"kernel": (4, 4, 3, 4), "bias": (4,)},
        "conv1": {"kernel": (4, 4, 4, 6), "bias": (6,)},
        "hidden": {"kernel": (384, 5), "bias": (5,)},
        "logits": {"kernel": (5, 3), "bias": (3,)},
    }


def test_logits_are_linear_in_the_hidden_layer():
    model = Classifier(num_classes=3, widths=(2,), hidden=4)
    image = jax.random.uniform(jax.random.key(1), (2, 10, 10, 1), minval=-1)
    found, variables = jax.jit(model.init_with_output)(jax.random.key(0), image)
    layer = variables["params"]["logits"]
    np.testing.assert_allclose(found.logits, found.hidden @ layer["kernel"] + layer["bias"], rtol=1e-5)


@pytest.mark.parametrize(("frames", "moments"), [(16, 4), (5, 3), (1, 1)])
def test_clips_are_seen_in_twos_with_a_convolution_along_time_after_each_of_the_frames(frames, moments):
    model = ClipClassifier(num_classes=4, widths=(3, 5), hidden=6)
    clip = jax.ShapeDtypeStruct((2, frames, 32, 32, 1), jnp.float32)
    result, variables = jax.eval_shape(lambda x: model.init_with_output(jax.random.key(0), x), clip)
    assert [part.shape for part in result] == [(2, 4), (2, 6), (2, 5)]
    assert jax.tree.map(lambda leaf: leaf.shape, variables["params"]) == {
        "conv0": {"kernel": (4, 4, 2, 3), "bias": (3,)},
        "time0": {"kernel": (3, 3, 3), "bias": (3,)},
        "conv1": {"kernel": (4, 4, 3, 5), "bias": (5,)},
        "time1": {"kernel": (3, 5, 5), "bias": (5,)},
        "conv2": {"kernel": (4, 4, 5, 5), "bias": (5,)},
        "time2": {"kernel": (3, 5, 5), "bias": (5,)},
        "norm": {"scale": (moments * 5,), "bias": (moments * 5,)},
        "hidden": {"kernel": (moments * 5, 6), "bias": (6,)},
        "logits": {"kernel": (6, 4), "bias": (4,)},
    }


def test_a_large_clip_is_reduced_frame_by_frame():
    clip = jax.random.uniform(jax.random.key(0), (1, 3, 80, 100, 2))
    frames = jnp.stack([reduced(clip[:, t]) for t in range(3)], axis=1)
    assert frames.shape == (1, 3, 51, 64, 2)
    np.testing.assert_allclose(reduced(clip), frames, atol=1e-6)


def test_the_order_of_frames_is_seen():
    model = ClipClassifier(num_classes=2, widths=(4,), hidden=8)
    clip = jax.random.uniform(jax.random.key(1), (1, 4, 10, 10, 1), minval=-1)
    tree = jax.jit(model.init)(jax.random.key(0), clip)
    one, other = jax.jit(lambda tree: [model.apply(tree, each).hidden for each in (clip, clip[:, ::-1])])(tree)
    assert np.abs(one - other).max() > 1e-3

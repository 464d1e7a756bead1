"""The shapes of the classifier."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.models.classifier import Classifier


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

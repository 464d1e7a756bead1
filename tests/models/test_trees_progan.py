"""The parameter trees of progressive GAN: old checkpoints must stay readable."""

import jax
import jax.numpy as jnp

from jaxgan.models import progan

LATENT, LABEL, IMAGE = jnp.zeros((2, 5)), jnp.zeros(2, jnp.int32), jnp.zeros((2, 16, 16, 3))


def tree_of(network, *inputs):
    shapes = jax.eval_shape(lambda: network.init(jax.random.key(0), *inputs, train=False))
    flat = jax.tree_util.tree_leaves_with_path(shapes)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf.shape for path, leaf in flat}


def layers(shapes):
    """Kernels and biases."""
    tree = {f"params/{name}/kernel": shape for name, shape in shapes.items()}
    return {**tree, **{f"params/{name}/bias": shape[-1:] for name, shape in shapes.items()}}


def test_generator():
    network = progan.Generator(16, 3, 10, base_width=4, max_width=10)
    assert tree_of(network, LATENT, LABEL) == {
        "params/label/table/embedding": (10, 5),
        **layers(
            {
                "stem": (10, 160),
                "conv_4": (3, 3, 10, 10),
                "block_8/conv_0": (3, 3, 10, 8),
                "block_8/conv_1": (3, 3, 8, 8),
                "block_16/conv_0": (3, 3, 8, 4),
                "block_16/conv_1": (3, 3, 4, 4),
                "to_rgb_4": (1, 1, 10, 3),
                "to_rgb_8": (1, 1, 8, 3),
                "to_rgb_16": (1, 1, 4, 3),
            }
        ),
    }


def test_discriminator():
    shared = {
        "from_rgb_16": (1, 1, 3, 4),
        "from_rgb_8": (1, 1, 3, 8),
        "from_rgb_4": (1, 1, 3, 10),
        "block_16/conv_0": (3, 3, 4, 4),
        "block_16/conv_1": (3, 3, 4, 8),
        "block_8/conv_0": (3, 3, 8, 8),
        "block_8/conv_1": (3, 3, 8, 10),
        "conv_4": (3, 3, 11, 10),
        "features": (160, 10),
        "logit": (10, 1),
    }
    network = progan.Discriminator(16, 7, base_width=4, max_width=10)
    assert tree_of(network, IMAGE, LABEL) == layers({**shared, "class_logits": (10, 7)})
    judging = network.clone(conditioning="projection")
    assert tree_of(judging, IMAGE, LABEL) == {**layers(shared), "params/label/table/embedding": (7, 10)}

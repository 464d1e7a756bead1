"""Tiny generators, with and without labels, as functions with their weights."""

from functools import partial

import jax
import jaxtyping
import numpy as np
import pytest

from jaxgan.fields import Field, label_field
from jaxgan.models import biggan, dcgan, mlp, progan, r3gan, resnet, stylegan2

NETWORKS = {
    "dcgan": lambda **own: dcgan.Generator(8, 1, widths=(8,), **own),
    "stylegan2": lambda **own: stylegan2.Generator(
        8, 3, style_dim=8, mapping_layers=2, base_width=8, max_width=8, **own
    ),
    "biggan": lambda **own: biggan.Generator(16, 3, base_width=8, attention=8, **own),
    "mlp": lambda **own: mlp.Generator(8, 1, widths=(8,), **own),
    "progan": lambda **own: progan.Generator(8, 3, base_width=8, max_width=8, **own),
    "r3gan": lambda **own: r3gan.Generator(8, 3, base_width=8, blocks=1, group_width=4, **own),
    "resnet": lambda **own: resnet.Generator(16, 1, base_width=8, **own),
}
LATENT = 40
CLASSES = 3


@pytest.fixture(scope="session")
def generator():
    """`(family, labelled) -> function`, with perturbed weights, so that each of them has an effect."""

    def make(family, labelled):
        network = NETWORKS[family](num_classes=CLASSES if labelled else 0)
        latent, label = inputs(2, labelled)
        tree = jax.jit(partial(network.init, train=False))(jax.random.key(0), latent, label)
        leaves, structure = jax.tree.flatten(tree)
        keys = jax.random.split(jax.random.key(1), len(leaves))
        moved = [leaf + 0.05 * jax.random.normal(key, leaf.shape) for key, leaf in zip(keys, leaves)]
        tree = jax.tree.unflatten(structure, moved)

        def generate(latent, label=None):
            image = network.apply(tree, latent, label, train=False)
            return image[0] if isinstance(image, tuple) else image

        return jax.jit(generate)  # much faster than compiling operation by operation

    return make


def inputs(count, labelled):
    """Latents `[count,Z]` and labels, or None."""
    latent = np.asarray(jax.random.normal(jax.random.key(count), (count, LATENT)))
    return latent, np.arange(count, dtype=np.int32) % CLASSES if labelled else None


@pytest.fixture
def asks():
    """The inputs of a generator of latents `[Z]`, with or without labels."""

    def make(latent_dim=LATENT, labelled=False):
        return {"latent": Field((latent_dim,), kind="latent")} | ({"label": label_field()} if labelled else {})

    return make


@pytest.fixture
def feed():
    return inputs


@pytest.fixture(autouse=True)
def _any_batch():
    """Disables shape checks, which do not support symbolic sizes."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)

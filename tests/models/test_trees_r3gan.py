"""The parameter trees of R3GAN, and how many numbers the published ones have."""

import math

import jax
import jax.numpy as jnp
import pytest

from jaxgan.models import r3gan


def tree_of(network, *inputs):
    shapes = jax.eval_shape(lambda: network.init(jax.random.key(0), *inputs, train=False))
    flat = jax.tree_util.tree_leaves_with_path(shapes)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf.shape for path, leaf in flat}


LATENT, LABEL, IMAGE = jnp.zeros((2, 5)), jnp.zeros(2, jnp.int32), jnp.zeros((2, 8, 8, 3))


def block(name, width, hidden, group_width):
    return {
        f"params/{name}/widen/kernel": (1, 1, width, hidden),
        f"params/{name}/widen/bias": (hidden,),
        f"params/{name}/mix/kernel": (3, 3, group_width, hidden),
        f"params/{name}/mix/bias": (hidden,),
        f"params/{name}/narrow/kernel": (1, 1, hidden, width),
    }


def test_r3gan_generator():
    network = r3gan.Generator(8, 3, 10, widths=(6, 4), blocks=1, expansion=2, group_width=4, class_embedding=7)
    assert tree_of(network, LATENT, LABEL) == {
        "params/label/table/embedding": (10, 7),
        "params/stem/kernel": (12, 6),
        "params/basis": (4, 4, 6),
        **block("block_0_0", 6, 12, 4),
        "params/fit_1/kernel": (1, 1, 6, 4),
        **block("block_1_0", 4, 8, 4),
        "params/image/kernel": (1, 1, 4, 3),
    }


@pytest.mark.parametrize(
    ("conditioning", "head"),
    [
        ("projection", {"params/projected/kernel": (6, 6), "params/label/table/embedding": (10, 6)}),
        ("classifier", {"params/logit/kernel": (6, 1), "params/class_logits/kernel": (6, 10)}),
    ],
)
def test_r3gan_discriminator(conditioning, head):
    network = r3gan.Discriminator(8, 10, conditioning=conditioning, base_width=6, blocks=1, group_width=4)
    assert tree_of(network, IMAGE, LABEL) == {
        "params/image/kernel": (1, 1, 3, 6),
        **block("block_1_0", 6, 12, 4),
        **block("block_0_0", 6, 12, 4),
        "params/basis": (4, 4, 6),
        **head,
    }


@pytest.mark.parametrize(
    ("resolution", "classes", "options", "millions"),
    [
        (32, 10, {"base_width": 768}, (20.8, 21.3)),  # CIFAR-10
        (64, 0, {"base_width": 768}, (22.4, 22.4)),  # FFHQ
        (256, 0, {"base_width": 768}, (23.1, 23.0)),
        (32, 1000, {"base_width": 1536, "group_width": 32}, (82.9, 86.6)),  # ImageNet
        (64, 1000, {"widths": (1536,) * 5, "group_width": 32}, (103.6, 107.2)),
    ],
)
def test_r3gan_has_the_numbers_of_parameters_of_the_papers_networks(resolution, classes, options, millions):
    label = LABEL if classes else None
    generator = tree_of(r3gan.Generator(resolution, 3, classes, **options), jnp.zeros((2, 64)), label)
    image = jnp.zeros((2, resolution, resolution, 3))
    discriminator = tree_of(r3gan.Discriminator(resolution, classes, **options), image, label)
    sizes = [sum(map(math.prod, tree.values())) / 1e6 for tree in (generator, discriminator)]
    assert sizes == pytest.approx(millions, abs=0.1)

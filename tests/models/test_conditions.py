"""Conditions of networks: labels, mixtures of classes, vectors, and tokens for networks that accept them."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan.errors import UserError
from jaxgan.game import Judgement, Weights
from jaxgan.inference.sampling import Sampler
from jaxgan.losses.adversarial import non_saturating
from jaxgan.models import biggan, dcgan, mlp, multiscale, progan, r3gan, resnet, stylegan2
from jaxgan.tasks.adversary import Adversary
from jaxgan.tasks.generation import Generation
from jaxgan.training.state import init_state
from jaxgan.training.step import make_train_step

B, R, C, K, E, Z = 3, 8, 2, 4, 5, 12
LATENT = jax.random.normal(jax.random.key(1), (B, Z))
IMAGE = jax.random.uniform(jax.random.key(2), (B, R, R, C), minval=-1.0)
LABEL = jnp.array([3, 0, 2])
VECTOR = jax.random.normal(jax.random.key(3), (B, E))
NARROW = {"base_width": 2}
GENERATORS = {
    "mlp concat": partial(mlp.Generator, R, C, widths=(6,)),
    "dcgan concat": partial(dcgan.Generator, R, C, conditioning="concat", **NARROW),
    "dcgan norm": partial(dcgan.Generator, R, C, conditioning="norm", **NARROW),
    "resnet norm": partial(resnet.Generator, R, C, conditioning="norm", **NARROW),
    "resnet concat": partial(resnet.Generator, R, C, conditioning="concat", **NARROW),
    "biggan norm": partial(biggan.Generator, R, C, conditioning="norm", embedding_dim=3, **NARROW),
    "biggan concat": partial(biggan.Generator, R, C, conditioning="concat", embedding_dim=3, **NARROW),
    "stylegan2 concat": partial(stylegan2.Generator, R, C, style_dim=6, mapping_layers=1, max_width=4),
    "r3gan concat": partial(r3gan.Generator, R, C, class_embedding=3, blocks=1, group_width=2, **NARROW),
    "progan concat": partial(progan.Generator, R, C, max_width=4),
}
DISCRIMINATORS = {
    "mlp concat": partial(mlp.Discriminator, widths=(6,)),
    "dcgan projection": partial(dcgan.Discriminator, R, norm="spectral", **NARROW),
    "dcgan concat": partial(dcgan.Discriminator, R, conditioning="concat", **NARROW),
    "resnet projection": partial(resnet.Discriminator, R, **NARROW),
    "resnet concat": partial(resnet.Discriminator, R, conditioning="concat", **NARROW),
    "biggan projection": partial(biggan.Discriminator, R, **NARROW),
    "stylegan2 projection": partial(stylegan2.Discriminator, R, mapping_layers=1, max_width=4),
    "r3gan projection": partial(r3gan.Discriminator, R, blocks=1, group_width=2, **NARROW),
    "progan projection": partial(progan.Discriminator, R, conditioning="projection", max_width=4),
    "multiscale projection": partial(multiscale.Discriminator, R, dcgan.Discriminator(R, widths=(2,)), scales=1),
}
FAMILIES = {
    **{f"generator {name}": (make, LATENT) for name, make in GENERATORS.items()},
    **{f"discriminator {name}": (make, IMAGE) for name, make in DISCRIMINATORS.items()},
}

QUICK = ("mlp", "dcgan", "stylegan2", "resnet norm", "resnet projection")  # the others share their layers
SOME = [
    name if any(each in name for each in QUICK) else pytest.param(name, marks=pytest.mark.slow) for name in FAMILIES
]


def made(network, given, condition):
    """A function of a condition, and the params of the network, none of them zero, so that all have an effect."""
    init = jax.jit(lambda condition: network.init(jax.random.key(0, impl="unsafe_rbg"), given, condition, train=False))
    tree = init(condition)
    leaves, shape = jax.tree.flatten(tree["params"])
    params = [leaf + 0.2 * np.random.default_rng(i).normal(size=leaf.shape) for i, leaf in enumerate(leaves)]
    tree = {**tree, "params": jax.tree.unflatten(shape, [leaf.astype(jnp.float32) for leaf in params])}

    def call(condition):
        output = network.apply(tree, given, condition, train=False)
        return output.logits if isinstance(output, Judgement) else output

    return jax.jit(call), tree["params"]


@pytest.mark.parametrize("name", SOME)
def test_every_family_takes_mixtures_of_classes(name):
    make, given = FAMILIES[name]
    call, params = made(make(num_classes=K), given, LABEL)
    by_label, one_hot = call(LABEL), call(jax.nn.one_hot(LABEL, K))
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5), by_label, one_hot)
    mixed = jax.tree.leaves(call(jnp.full((B, K), 1 / K)))
    assert all(np.isfinite(leaf).all() for leaf in mixed)
    assert all((np.abs(one - other) > 1e-6).any() for one, other in zip(mixed, jax.tree.leaves(by_label)))
    _, soft = made(make(num_classes=K), given, jax.nn.one_hot(LABEL, K))
    assert jax.tree.map(jnp.shape, soft) == jax.tree.map(jnp.shape, params)


@pytest.mark.parametrize("name", SOME)
def test_every_family_takes_vectors(name):
    make, given = FAMILIES[name]
    call, _ = made(make(condition_dim=E), given, VECTOR)
    one, other = call(VECTOR), call(VECTOR.at[0].add(1.0))
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other)):
        assert (np.abs(a[0] - b[0]) > 1e-6).any(), "the example whose vector has moved"
        np.testing.assert_allclose(a[1:], b[1:], rtol=1e-5, atol=1e-6)


@pytest.mark.quick
@pytest.mark.parametrize("name", FAMILIES)
def test_another_condition_is_one_line_at_init(name):
    make, given = FAMILIES[name]
    wrong = {
        "expected labels": (make(num_classes=K), jnp.zeros((B, K + 1))),
        "expected vectors": (make(condition_dim=E), LABEL),
        "got no condition": (make(num_classes=K), None),
    }
    for words, (network, condition) in wrong.items():
        with pytest.raises(UserError, match=words):
            jax.eval_shape(partial(network.init, train=False), jax.random.key(0), given, condition)


@pytest.mark.quick
@pytest.mark.parametrize("family", [mlp, dcgan, resnet, biggan, stylegan2, r3gan, progan])
def test_vectors_cannot_be_guessed(family):
    resolution = () if family is mlp else (R,)
    network = family.Discriminator(*resolution, conditioning="classifier", condition_dim=E)
    with pytest.raises(UserError, match=r"got (conditioning )?'classifier', .*'projection'"):
        jax.eval_shape(partial(network.init, train=False), jax.random.key(0), IMAGE, VECTOR)


class Reader(nn.Module):
    """Tokens `[B,L]` to vectors `[B,4]`: the mean of their embeddings."""

    @nn.compact
    def __call__(self, tokens):
        assert tokens.ndim == 2
        assert jnp.issubdtype(tokens.dtype, jnp.integer)
        return nn.Embed(K, 4, name="words")(tokens).mean(axis=1)


class Draws(nn.Module):
    """Latents and tokens to images."""

    @nn.compact
    def __call__(self, latent, tokens, *, train):
        x = jnp.concatenate([latent, Reader(name="reader")(tokens)], axis=-1)
        return jnp.tanh(nn.Dense(R * R * C, name="image")(x)).reshape(-1, R, R, C)


class Judges(nn.Module):
    """Images and tokens to logits."""

    @nn.compact
    def __call__(self, image, tokens, *, train):
        features = nn.Dense(4, name="features")(image.reshape(image.shape[0], -1))
        return Judgement(logits=(features * Reader(name="reader")(tokens)).sum(axis=-1))


def test_tokens_reach_the_networks_that_take_them():
    task = Generation(Draws(), Adversary(Judges(), non_saturating), latent_dim=Z, num_classes=K)
    optimizers = dict.fromkeys(task.players, lambda images, rollbacks: optax.sgd(0.1))
    tokens = jax.random.randint(jax.random.key(0), (4, 7), 0, K)
    batch = {"image": jnp.zeros((4, R, R, C)), "label": tokens}
    state = init_state(task, optimizers, jax.random.key(0), batch)
    step = jax.jit(make_train_step(task, optimizers, images=4, microbatches=2), static_argnums=3)
    after, _ = step(state, batch, jax.random.key(1), (0, 1))
    for network in ("generator", "discriminator"):
        words = [each.params[network]["reader"]["words"]["embedding"] for each in (state, after)]
        assert (np.abs(words[0] - words[1]) > 0).any()
    sampler, latents = Sampler(task.products["generator"], batch_size=3), np.asarray(task.latents(jax.random.key(2), 4))
    asked = {"latent": latents, "label": np.asarray(tokens)}
    images = sampler(Weights(after.ema_params, after.ema_variables), asked)
    expected = task.generate(after.ema_params, after.ema_variables, latents, tokens)
    np.testing.assert_allclose(images, expected, rtol=1e-4, atol=1e-5)

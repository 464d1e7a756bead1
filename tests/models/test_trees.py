"""The parameter trees of the families: old checkpoints must stay readable."""

import jax
import jax.numpy as jnp

from jaxgan.models import dcgan, mlp


def tree_of(network, *inputs):
    shapes = jax.eval_shape(lambda: network.init(jax.random.key(0), *inputs, train=False))
    flat = jax.tree_util.tree_leaves_with_path(shapes)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf.shape for path, leaf in flat}


LATENT, LABEL, IMAGE = jnp.zeros((2, 5)), jnp.zeros(2, jnp.int32), jnp.zeros((2, 8, 8, 3))


def test_mlp():
    assert tree_of(mlp.Generator(8, 3, 10, widths=(6, 7)), LATENT, LABEL) == {
        "params/label/table/embedding": (10, 5),
        "params/dense_0/kernel": (10, 6),
        "params/dense_0/bias": (6,),
        "params/dense_1/kernel": (6, 7),
        "params/dense_1/bias": (7,),
        "params/image/kernel": (7, 192),
        "params/image/bias": (192,),
    }
    assert tree_of(mlp.Discriminator(widths=(7, 6)), IMAGE, None) == {
        "params/dense_0/kernel": (192, 7),
        "params/dense_0/bias": (7,),
        "params/dense_1/kernel": (7, 6),
        "params/dense_1/bias": (6,),
        "params/logit/kernel": (6, 1),
        "params/logit/bias": (1,),
    }


def test_dcgan():
    assert tree_of(dcgan.Generator(16, 3, 10, widths=(6, 4)), LATENT, LABEL) == {
        "params/label/table/embedding": (10, 5),
        "params/stem/kernel": (10, 96),
        "params/norm_0/scale": (6,),
        "params/norm_0/bias": (6,),
        "params/up_0/kernel": (4, 4, 4, 6),
        "params/norm_1/scale": (4,),
        "params/norm_1/bias": (4,),
        "params/up_1/kernel": (4, 4, 3, 4),
        "params/up_1/bias": (3,),
        "batch_stats/norm_0/mean": (6,),
        "batch_stats/norm_0/var": (6,),
        "batch_stats/norm_1/mean": (4,),
        "batch_stats/norm_1/var": (4,),
    }
    assert tree_of(dcgan.Discriminator(8, 10, widths=(6,), norm="none", stddev=True), IMAGE, LABEL) == {
        "params/down_0/kernel": (4, 4, 3, 6),
        "params/down_0/bias": (6,),
        "params/logit/kernel": (112, 1),
        "params/logit/bias": (1,),
        "params/projected/kernel": (112, 7),
        "params/projected/bias": (7,),
        "params/label/table/embedding": (10, 7),
    }
    assert tree_of(dcgan.Discriminator(16, widths=(4, 6)), jnp.zeros((2, 16, 16, 1)), None) == {
        "params/down_0/kernel": (4, 4, 1, 4),
        "params/down_0/bias": (4,),
        "params/down_1/kernel": (4, 4, 4, 6),
        "params/norm_1/scale": (6,),
        "params/norm_1/bias": (6,),
        "params/logit/kernel": (96, 1),
        "params/logit/bias": (1,),
        "batch_stats/norm_1/mean": (6,),
        "batch_stats/norm_1/var": (6,),
    }


def test_spectral_dcgan_has_the_params_of_the_plain_one():
    plain = tree_of(dcgan.Discriminator(8, 10, widths=(6,), norm="none"), IMAGE, LABEL)
    spectral = tree_of(dcgan.Discriminator(8, 10, widths=(6,), norm="spectral"), IMAGE, LABEL)
    assert {name: shape for name, shape in spectral.items() if name not in plain} == {
        f"spectral/{layer}_norm/{layer}/{kernel}/{part}": shape
        for layer, kernel, width in (
            ("down_0", "kernel", 6),
            ("logit", "kernel", 1),
            ("projected", "kernel", 6),
            ("label", "table/embedding", 6),
        )
        for part, shape in (("u", (1, width)), ("sigma", ()))
    }
    assert plain.items() <= spectral.items()

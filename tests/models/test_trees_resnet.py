"""The variable trees of SNGAN and BigGAN: old checkpoints must stay readable."""

import jax
import jax.numpy as jnp

from jaxgan.models import biggan, multiscale, resnet

LATENT, LABEL, IMAGE = jnp.zeros((2, 6)), jnp.zeros(2, jnp.int32), jnp.zeros((2, 8, 8, 3))


def tree_of(network, *inputs):
    shapes = jax.eval_shape(lambda: network.init(jax.random.key(0), *inputs, train=False))
    flat = jax.tree_util.tree_leaves_with_path(shapes)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf.shape for path, leaf in flat}


def layers(prefix, **shapes):
    """Kernels and biases."""
    tree = {f"{prefix}/{name}/kernel": shape for name, shape in shapes.items()}
    return {**tree, **{f"{prefix}/{name}/bias": shape[-1:] for name, shape in shapes.items()}}


def statistics(**widths):
    return {
        f"batch_stats/{name.replace('__', '/')}/{part}": (width,)
        for name, width in widths.items()
        for part in ("mean", "var")
    }


def spectral(tree):
    """The state of the norms of all kernels and tables among the params."""
    state = {}
    for name, shape in tree.items():
        if len(shape) > 1:
            _, *parents, layer, kernel = name.split("/")
            if layer == "table":
                parents, layer, kernel = parents[:-1], parents[-1], "table/embedding"
            prefix = "/".join(["spectral", *parents, f"{layer}_norm", layer, kernel])
            state |= {f"{prefix}/u": (1, shape[-1]), f"{prefix}/sigma": ()}
    return state


def test_resnet():
    norms = {
        f"params/block_0/norm_{i}/{part}/embedding": (10, w) for i, w in ((0, 4), (1, 4)) for part in ("scale", "bias")
    }
    assert tree_of(resnet.Generator(8, 3, 10, widths=(4,)), LATENT, LABEL) == {
        **layers("params", stem=(6, 64), image=(3, 3, 4, 3)),
        **layers("params/block_0", conv_0=(3, 3, 4, 4), conv_1=(3, 3, 4, 4), shortcut=(1, 1, 4, 4)),
        **norms,
        "params/norm/scale": (4,),
        "params/norm/bias": (4,),
        **statistics(norm=4, block_0__norm_0=4, block_0__norm_1=4),
    }
    params = {
        **layers("params/block_0", conv_0=(3, 3, 3, 4), conv_1=(3, 3, 4, 4), shortcut=(1, 1, 3, 4)),
        **layers("params/block_1", conv_0=(3, 3, 4, 4), conv_1=(3, 3, 4, 5), shortcut=(1, 1, 4, 5)),
        **layers("params", logit=(5, 1)),
        "params/label/table/embedding": (10, 5),
    }
    discriminator = resnet.Discriminator(8, 10, widths=(4, 5))
    assert tree_of(discriminator, IMAGE, LABEL) == {**params, **spectral(params)}
    assert tree_of(discriminator.clone(norm="none"), IMAGE, LABEL) == params
    guessing = layers("params", class_logits=(5, 10))
    expected = {name: shape for name, shape in params.items() if "label" not in name} | guessing
    assert tree_of(discriminator.clone(norm="none", conditioning="classifier"), IMAGE, LABEL) == expected


def test_biggan():
    normed = {
        **{
            f"params/block_{b}/norm_{i}/{part}/kernel": (9, w)
            for b, i, w in ((0, 0, 5), (0, 1, 5), (1, 0, 5), (1, 1, 4))
            for part in ("scale", "bias")
        },
        **layers("params", stem=(2, 80)),
        **layers("params/block_0", conv_0=(3, 3, 5, 5), conv_1=(3, 3, 5, 5), shortcut=(1, 1, 5, 5)),
        **layers("params/block_1", conv_0=(3, 3, 5, 4), conv_1=(3, 3, 4, 4), shortcut=(1, 1, 5, 4)),
        **{f"params/attention/{name}/kernel": (1, 1, 5, width) for name, width in (("theta", 1), ("phi", 1), ("g", 2))},
        "params/attention/o/kernel": (1, 1, 2, 5),
        **layers("params", image=(3, 3, 4, 3)),
    }
    network = biggan.Generator(16, 3, 10, widths=(5, 4), embedding_dim=7, attention=8)
    assert tree_of(network, LATENT, LABEL) == {
        **normed,
        **spectral(normed),
        "params/label/table/embedding": (10, 7),
        "params/attention/gamma": (),
        "params/norm/scale": (4,),
        "params/norm/bias": (4,),
        **statistics(norm=4, block_0__norm_0=5, block_0__norm_1=5, block_1__norm_0=5, block_1__norm_1=4),
    }
    params = {
        **layers("params/block_0", conv_0=(3, 3, 3, 4), conv_1=(3, 3, 4, 4), shortcut=(1, 1, 3, 4)),
        **layers("params/block_1", conv_0=(3, 3, 4, 4), conv_1=(3, 3, 4, 4)),
        **layers("params", logit=(4, 1)),
    }
    assert tree_of(biggan.Discriminator(8, widths=(4, 4)), IMAGE) == {**params, **spectral(params)}


def test_multiscale():
    network = multiscale.Discriminator(16, resnet.Discriminator(16, widths=(4, 5), norm="none"), scales=2)
    assert tree_of(network, jnp.zeros((2, 16, 16, 3))) == {
        **layers("params/scale_0/block_0", conv_0=(3, 3, 3, 4), conv_1=(3, 3, 4, 4), shortcut=(1, 1, 3, 4)),
        **layers("params/scale_0/block_1", conv_0=(3, 3, 4, 4), conv_1=(3, 3, 4, 5), shortcut=(1, 1, 4, 5)),
        **layers("params/scale_0", logit=(5, 1)),
        **layers("params/scale_1/block_0", conv_0=(3, 3, 3, 5), conv_1=(3, 3, 5, 5), shortcut=(1, 1, 3, 5)),
        **layers("params/scale_1", logit=(5, 1)),
    }

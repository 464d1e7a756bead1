"""The parameter trees of StyleGAN2: old checkpoints must stay readable."""

import jax
import jax.numpy as jnp

from jaxgan.models import stylegan2


def tree_of(network, *inputs):
    shapes = jax.eval_shape(lambda: network.init(jax.random.key(0), *inputs, train=False))
    flat = jax.tree_util.tree_leaves_with_path(shapes)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf.shape for path, leaf in flat}


LATENT, LABEL = jnp.zeros((2, 5)), jnp.zeros(2, jnp.int32)
IMAGE = jnp.zeros((2, 16, 16, 3))


def dense(name, inputs, features):
    return {f"{name}/kernel": (inputs, features), f"{name}/bias": (features,)}


def styled(name, inputs, features, pixels, style):
    synthesis = f"params/synthesis/{name}_{pixels}"
    return {
        **dense(f"{synthesis}/affine", style, inputs),
        f"{synthesis}/kernel": (3, 3, inputs, features),
        f"{synthesis}/bias": (features,),
        f"{synthesis}/noise_strength": (),
        f"constants/synthesis/{name}_{pixels}/noise": (pixels, pixels),
    }


def to_rgb(inputs, channels, pixels, style):
    synthesis = f"params/synthesis/to_rgb_{pixels}"
    return {
        **dense(f"{synthesis}/affine", style, inputs),
        f"{synthesis}/kernel": (1, 1, inputs, channels),
        f"{synthesis}/bias": (channels,),
    }


def conv(name, size, inputs, features, bias=True):
    kernel = {f"params/{name}/kernel": (size, size, inputs, features)}
    return {**kernel, f"params/{name}/bias": (features,)} if bias else kernel


def test_generator():
    generator = stylegan2.Generator(16, 3, 10, style_dim=6, mapping_layers=2, base_width=4, max_width=9)
    assert tree_of(generator, LATENT, LABEL) == {
        **dense("params/mapping/label", 10, 6),
        **dense("params/mapping/dense_0", 11, 6),
        **dense("params/mapping/dense_1", 6, 6),
        "params/synthesis/constant": (4, 4, 9),
        **styled("conv", 9, 9, 4, 6),
        **to_rgb(9, 3, 4, 6),
        **styled("up", 9, 8, 8, 6),
        **styled("conv", 8, 8, 8, 6),
        **to_rgb(8, 3, 8, 6),
        **styled("up", 8, 4, 16, 6),
        **styled("conv", 4, 4, 16, 6),
        **to_rgb(4, 3, 16, 6),
        "average/style_mean": (6,),
    }


def test_all_scales_need_no_other_params():
    fields = {"style_dim": 6, "mapping_layers": 1, "base_width": 4}
    one = tree_of(stylegan2.Generator(16, 3, **fields), LATENT)
    assert tree_of(stylegan2.Generator(16, 3, all_scales=True, **fields), LATENT) == one
    assert "params/mapping/label/kernel" not in one
    assert one["params/mapping/dense_0/kernel"] == (5, 6)


DISCRIMINATOR = {
    **conv("from_rgb", 1, 3, 4),
    **conv("block_16/conv", 3, 4, 4),
    **conv("block_16/down", 3, 4, 8),
    **conv("block_16/skip", 1, 4, 8, bias=False),
    **conv("block_8/conv", 3, 8, 8),
    **conv("block_8/down", 3, 8, 9),
    **conv("block_8/skip", 1, 8, 9, bias=False),
    **conv("conv_4", 3, 10, 9),
    **dense("params/features", 144, 9),
}


def test_discriminator():
    plain = stylegan2.Discriminator(16, base_width=4, max_width=9)
    assert tree_of(plain, IMAGE) == {**DISCRIMINATOR, **dense("params/logit", 9, 1)}
    orig = tree_of(stylegan2.Discriminator(16, architecture="orig", base_width=4, max_width=9), IMAGE)
    assert orig == {
        name: shape for name, shape in (DISCRIMINATOR | dense("params/logit", 9, 1)).items() if "skip" not in name
    }


def test_discriminator_with_labels():
    fields = {"base_width": 4, "max_width": 9, "mapping_layers": 1}
    assert tree_of(stylegan2.Discriminator(16, 10, **fields), IMAGE, LABEL) == {
        **DISCRIMINATOR,
        **dense("params/logit", 9, 9),
        **dense("params/mapping/label", 10, 9),
        **dense("params/mapping/dense_0", 9, 9),
    }
    classifier = stylegan2.Discriminator(16, 10, conditioning="classifier", **fields)
    assert tree_of(classifier, IMAGE, LABEL) == {
        **DISCRIMINATOR,
        **dense("params/logit", 9, 1),
        **dense("params/class_logits", 9, 10),
    }

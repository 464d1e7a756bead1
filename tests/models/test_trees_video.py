"""The parameter trees of networks of clips: old checkpoints must stay readable."""

import jax
import jax.numpy as jnp

from jaxgan.models import dcgan, motion_codes, r3gan, stylegan2, video


def tree_of(network, *inputs):
    shapes = jax.eval_shape(lambda: network.init(jax.random.key(0), *inputs, train=False))
    flat = jax.tree_util.tree_leaves_with_path(shapes)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf.shape for path, leaf in flat}


def dense(name, inputs, features):
    return {f"params/{name}/kernel": (inputs, features), f"params/{name}/bias": (features,)}


def within(name, tree):
    return {key.replace("/", f"/{name}/", 1): shape for key, shape in tree.items()}


LATENT, CLIP, TIME = jnp.zeros((2, 5)), jnp.zeros((2, 3, 16, 16, 1)), jnp.zeros((2, 3))
BACKBONES = {
    "dcgan": (dcgan.Generator(16, 1, widths=(6, 4)), dcgan.Discriminator(16, widths=(4, 6), norm="none")),
    "r3gan": (r3gan.Generator(16, 1, base_width=8), r3gan.Discriminator(16, base_width=8)),
}


def test_frames_have_the_params_of_their_backbone_and_of_motion():
    for backbone, _ in BACKBONES.values():
        network = video.Frames(backbone, motion_codes.Convolved(3, kernel_sizes=(5, 2)), 16, 1, 4)
        found = tree_of(network, LATENT, None, jnp.zeros((2, 8, 3)), TIME)
        assert found == {
            **within("backbone", tree_of(backbone, jnp.zeros((2, 8)))),
            "params/motion/conv_0/kernel": (5, 3, 3),
            "params/motion/conv_0/bias": (3,),
            "params/motion/conv_1/kernel": (2, 3, 3),
            "params/motion/conv_1/bias": (3,),
        }


def test_motion_stands_beside_the_constant_of_stylegan2():
    fields = {"base_width": 4, "max_width": 8, "style_dim": 6, "mapping_layers": 1, "noise": False}
    backbone, motion = stylegan2.Generator(16, 1, **fields), motion_codes.Acyclic(3, kernel_sizes=(2,), frequencies=2)
    found = tree_of(video.Frames(backbone, motion, 16, 1, 4), LATENT, None, jnp.zeros((2, 3, 3)), TIME)
    own = within("backbone", tree_of(backbone, LATENT))
    first = "backbone/synthesis/conv_4"
    assert found == {
        **own,
        **dense(f"{first}/affine", 6, 8 + 4),
        f"params/{first}/kernel": (3, 3, 8 + 4, 8),
        "params/motion/conv_0/kernel": (2, 3, 3),
        "params/motion/conv_0/bias": (3,),
        **dense("motion/speed", 3, 2),
        **dense("motion/phase", 3, 2),
        "params/motion/align/kernel": (3, 4),
    }
    assert not [name for name in own if "noise" in name]


def test_recurrent_codes():
    network = motion_codes.Recurrent(3)
    shapes = jax.eval_shape(lambda: network.init(jax.random.key(0), jnp.zeros((2, 5, 3)), TIME))
    assert jax.tree.map(jnp.shape, shapes["params"]) == {
        "fed": {"kernel": (3, 9), "bias": (9,)},
        "kernel": (3, 9),
    }


def test_clips():
    widths = {"dcgan": (4, 4 * 4 * 6), "r3gan": (8, 8)}
    for name, (_, backbone) in BACKBONES.items():
        width, features = widths[name]
        found = tree_of(video.Clips(backbone, 16, pixels=8, width=7), CLIP, None, TIME)
        assert found == {
            **within("backbone", tree_of(backbone, CLIP[:, 0])),
            **dense("distances/dense_0", 2 * 32, 7),
            **dense("distances/dense_1", 7, 7),
            **dense("meeting/conv/affine", 7, 3 * width),
            "params/meeting/conv/kernel": (3, 3, 3 * width, width),
            "params/meeting/conv/bias": (width,),
            **dense("compared", features, 7),
        }

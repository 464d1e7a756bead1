"""The variable trees of the networks for restoration: old checkpoints must stay readable."""

import jax
import jax.numpy as jnp

from jaxgan.models import ffc, patchgan, shift_unet, srresnet, unet

IMAGE = jnp.zeros((2, 8, 8, 3))


def tree_of(network, image=IMAGE):
    shapes = jax.eval_shape(lambda: network.init(jax.random.key(0), image, train=False))
    flat = jax.tree_util.tree_leaves_with_path(shapes)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf.shape for path, leaf in flat}


def kernels(prefix, **shapes):
    return {f"params/{prefix}{name}/kernel": shape for name, shape in shapes.items()}


def layers(prefix, **shapes):
    """Kernels and biases."""
    return kernels(prefix, **shapes) | {f"params/{prefix}{name}/bias": shape[-1:] for name, shape in shapes.items()}


def norms(prefix, **widths):
    """Gains, biases and statistics of batch norms."""
    tree = {}
    for name, width in widths.items():
        tree |= {f"params/{prefix}{name}/{part}": (width,) for part in ("scale", "bias")}
        tree |= {f"batch_stats/{prefix}{name}/{part}": (width,) for part in ("mean", "var")}
    return tree


def spectral(*names, widths):
    tree = {}
    for name, width in zip(names, widths):
        prefix = f"spectral/{name}_norm/{name}/kernel"
        tree |= {f"{prefix}/u": (1, width), f"{prefix}/sigma": ()}
    return tree


def test_srresnet_classic():
    square = (3, 3, 4, 4)
    assert tree_of(srresnet.Generator(3, base_width=4, blocks=1)) == {
        **layers("", stem=(9, 9, 3, 4), enter=square, leave=square, up_0=(3, 3, 4, 16), image=(9, 9, 4, 3)),
        **layers("block_0/", conv_0=square, conv_1=square),
    }


def test_srresnet_of_srgan():
    square = (3, 3, 4, 4)
    ends = layers("", stem=(9, 9, 3, 4), up_0=(3, 3, 4, 16), up_1=(3, 3, 4, 16), image=(9, 9, 4, 3))
    slopes = {f"params/{name}/slope": () for name in ("stem_prelu", "up_0_prelu", "up_1_prelu", "block_0/prelu")}
    network = srresnet.Generator(3, 4, "srgan", "batch", base_width=4, blocks=1)
    assert tree_of(network) == {
        **ends,
        **slopes,
        **kernels("block_0/", conv_0=square, conv_1=square),
        **norms("block_0/", norm_0=4, norm_1=4),
        **kernels("", leave=square),
        **norms("", leave_norm=4),
    }
    assert tree_of(network.clone(norm="none")) == {
        **ends,
        **slopes,
        **layers("block_0/", conv_0=square, conv_1=square),
        **layers("", leave=square),
    }


def test_srresnet_discriminator():
    shapes = {"conv_0": (3, 3, 3, 2), "conv_1": (3, 3, 2, 2), "conv_2": (3, 3, 2, 4), "conv_3": (3, 3, 4, 4)}
    head = layers("", hidden=(4, 8), logit=(8, 1))
    network = srresnet.Discriminator(base_width=2, halvings=2)
    bare = layers("", **shapes) | head
    assert tree_of(network) == bare
    names = (*shapes, "hidden", "logit")
    assert tree_of(network.clone(norm="spectral")) == bare | spectral(*names, widths=(2, 2, 4, 4, 8, 1))
    first = layers("", conv_0=shapes.pop("conv_0"))
    normed = norms("", norm_1=2, norm_2=4, norm_3=4)
    assert tree_of(network.clone(norm="batch")) == {**first, **kernels("", **shapes), **normed, **head}


def test_patchgan():
    shapes = {"conv_0": (4, 4, 3, 2), "conv_1": (4, 4, 2, 4), "logits": (4, 4, 4, 1)}
    network = patchgan.Discriminator(base_width=2, halvings=1)
    bare = layers("", **shapes)
    assert tree_of(network.clone(norm="none")) == bare
    assert tree_of(network.clone(norm="spectral")) == bare | spectral(*shapes, widths=(2, 4, 1))
    without = {name: shape for name, shape in bare.items() if name != "params/conv_1/bias"}
    assert tree_of(network) == without
    assert tree_of(network.clone(norm="batch")) == without | norms("", norm_1=4)


def test_ffc():
    fast = {}
    for index in range(2):
        fast |= kernels(
            f"block_0/conv_{index}/",
            from_local=(3, 3, 4, 16),
            from_global=(3, 3, 12, 4),
            spectral__narrow=(1, 1, 12, 6),
            spectral__fourier__conv=(1, 1, 12, 12),
            spectral__widen=(1, 1, 6, 12),
        )
        fast |= norms(f"block_0/conv_{index}/", spectral__norm=6, spectral__fourier__norm=12)
    fast = {name.replace("__", "/"): shape for name, shape in fast.items()}
    down = {"stem": (7, 7, 3, 2), "down_0": (3, 3, 2, 4), "down_1": (3, 3, 4, 8), "down_2": (3, 3, 8, 16)}
    up = {"up_2": (3, 3, 8, 16), "up_1": (3, 3, 4, 8), "up_0": (3, 3, 2, 4)}
    assert tree_of(ffc.Generator(3, base_width=2, blocks=1)) == {
        **kernels("", **down, **up),
        **norms("", stem_norm=2, down_0_norm=4, down_1_norm=8, down_2_norm=16),
        **norms("", up_2_norm=8, up_1_norm=4, up_0_norm=2),
        **fast,
        **norms("block_0/", norm_0=16, norm_1=16),
        **layers("", image=(7, 7, 2, 3)),
    }


def test_unet():
    network = unet.Generator(3, base_width=2, halvings=1, bottom=1)
    shapes = {
        "stem": (3, 3, 3, 2),
        "keep_0": (3, 3, 2, 2),
        "down_0": (4, 4, 2, 4),
        "bottom_0": (3, 3, 4, 4),
        "up_0": (3, 3, 4, 2),
        "merge_0": (3, 3, 4, 2),
    }
    image = layers("", image=(3, 3, 2, 3))
    assert tree_of(network) == tree_of(network.clone(residual=True)) == layers("", **shapes) | image
    wide = {name: (*shape[:3], 2 * shape[3]) for name, shape in shapes.items()}
    assert tree_of(network.clone(gated=True)) == layers("", **wide) | image


def test_translator():
    network = unet.Translator(3, base_width=2, halvings=3)
    shapes = {
        "down_0": (4, 4, 3, 2),
        "down_1": (4, 4, 2, 4),
        "down_2": (4, 4, 4, 8),
        "up_2": (4, 4, 4, 8),
        "up_1": (4, 4, 2, 8),
    }
    image = {"params/image/kernel": (4, 4, 3, 4), "params/image/bias": (3,)}
    assert tree_of(network) == kernels("", **shapes) | image
    normed = norms("", down_1_norm=4, up_2_norm=4, up_1_norm=2)
    assert tree_of(network.clone(norm="batch")) == kernels("", **shapes) | image | normed


def test_unet_discriminator():
    network = unet.Discriminator(base_width=2, halvings=1)
    shapes = {"down_0": (4, 4, 2, 4), "up_0": (3, 3, 4, 2), "last_0": (3, 3, 2, 2), "last_1": (3, 3, 2, 2)}
    bare = kernels("", **shapes) | layers("", stem=(3, 3, 3, 2), logits=(3, 3, 2, 1))
    assert tree_of(network.clone(norm="none")) == bare
    assert tree_of(network) == bare | spectral(*shapes, widths=(4, 2, 2, 2))


def clip_tree_of(network, channels=3):
    return tree_of(network, jnp.zeros((2, 3, 8, 8, channels)))


def test_networks_of_films_have_the_params_of_those_of_pictures():
    small = {"base_width": 4, "halvings": 2, "residual": True}
    pictures = tree_of(unet.Generator(3, **small))
    assert clip_tree_of(shift_unet.Generator(3, **small)) == pictures
    changed = {"params/stem/kernel": (3, 3, 4, 4)}
    assert clip_tree_of(shift_unet.Generator(3, noise="map", **small), 4) == pictures | changed
    changed = layers("", stem=(3, 3, 4 * 5, 4), image=(3, 3, 4, 4 * 3))
    assert clip_tree_of(shift_unet.Generator(3, filled="flow", unshuffle=2, **small), 4) == pictures | changed
    stages = {
        name.replace("/", f"/{stage}/", 1): shape for name, shape in pictures.items() for stage in ("first", "second")
    }
    changed = {f"params/{stage}/stem/kernel": (3, 3, 3 * 3 + 1, 4) for stage in ("first", "second")}
    assert clip_tree_of(shift_unet.TwoStage(3, base_width=4), 4) == stages | changed


def test_the_patch_discriminator_of_clips():
    kernels = {"space_0": (4, 4, 3, 2), "time_0": (3, 2, 2), "space_1": (4, 4, 2, 4), "time_1": (3, 4, 4)}
    expected = layers("", **kernels, logits=(4, 4, 4, 1))
    network = patchgan.ClipDiscriminator(base_width=2, halvings=1, norm="none")
    assert clip_tree_of(network) == expected
    names = (*kernels, "logits")
    assert clip_tree_of(network.clone(norm="spectral")) == expected | spectral(*names, widths=(2, 2, 4, 4, 1))

"""The discriminator over several scales of an image, with every family as template."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.errors import UserError
from jaxgan.layers.resampling import box_downsample
from jaxgan.models import biggan, dcgan, mlp, multiscale, progan, r3gan, resnet, stylegan2

KEY = jax.random.key(0)
LABEL = jnp.array([0, 1])
IMAGE = jax.random.normal(jax.random.key(1), (2, 16, 16, 1))
TEMPLATES = {
    "mlp": mlp.Discriminator(widths=(6,)),
    "dcgan": dcgan.Discriminator(16, widths=(5, 6), norm="spectral"),
    "resnet": resnet.Discriminator(16, base_width=2),
    "biggan": biggan.Discriminator(16, base_width=2),
    "progan": progan.Discriminator(16, max_width=4),
    "r3gan": r3gan.Discriminator(16, widths=(6, 5, 4), blocks=1, expansion=1, group_width=1),
    "stylegan2": stylegan2.Discriminator(16, base_width=2, max_width=4, mapping_layers=1),
}


@pytest.mark.parametrize("family", TEMPLATES)
@pytest.mark.parametrize("num_classes", [0, 3])
def test_every_family_can_be_the_template(family, num_classes):
    network = multiscale.Discriminator(16, TEMPLATES[family], num_classes, scales=2)
    label = LABEL if num_classes else None
    judged, tree = jax.eval_shape(lambda: network.init_with_output(KEY, IMAGE, label, train=True))
    assert [logits.shape for logits in judged.logits] == [(2,), (2,)]
    assert len(judged.features) == 2
    for collection in tree.values():
        assert set(collection) <= {"scale_0", "scale_1"}
    assert set(tree["params"]) == {"scale_0", "scale_1"}
    knows_labels = {"label", "mapping"} & set(tree["params"]["scale_1"]) or judged.class_logits is not None
    assert bool(knows_labels) == (num_classes > 0)


@pytest.mark.parametrize(
    ("template", "layers"),  # layers by scale, from the image on, with the channels that they make
    [
        (TEMPLATES["dcgan"], [{"down_0": 5, "down_1": 6}, {"down_0": 6}]),
        (TEMPLATES["r3gan"], [{"image": 4, "fit_1": 5, "fit_0": 6}, {"image": 5, "fit_0": 6}]),
        (
            resnet.Discriminator(16, widths=(2, 3, 4)),
            [{"block_0": 2, "block_1": 3, "block_2": 4}, {"block_0": 3, "block_1": 4}],
        ),
        (
            biggan.Discriminator(16, widths=(2, 3, 4)),
            [{"block_0": 2, "block_1": 3, "block_2": 4}, {"block_0": 3, "block_1": 4}],
        ),
        # these two have a width for the largest images, whichever these are
        (TEMPLATES["stylegan2"], [{"from_rgb": 2, "block_16": 4, "conv_4": 4}, {"from_rgb": 2, "block_8": 4}]),
        (progan.Discriminator(16, base_width=2, max_width=4), [{"from_rgb_16": 2, "conv_4": 4}, {"from_rgb_8": 2}]),
    ],
    ids=["dcgan", "r3gan", "resnet", "biggan", "stylegan2", "progan"],
)
def test_each_scale_has_the_widths_of_its_pixels(template, layers):
    network = multiscale.Discriminator(16, template, scales=2)
    params = jax.eval_shape(lambda: network.init(KEY, IMAGE, train=False))["params"]
    for scale, widths in enumerate(layers):
        own = params[f"scale_{scale}"]
        made = {name: jax.tree.leaves(own[name])[-1].shape[-1] for name in widths}  # of the last kernel
        assert made == widths
    assert len(params["scale_0"]) > len(params["scale_1"])  # a stage less


@pytest.fixture(scope="module")
def made():
    """A network of two scales of DCGAN and its variables."""
    network = multiscale.Discriminator(16, TEMPLATES["dcgan"], 3, "classifier", scales=2)
    return network, jax.jit(lambda: network.init(KEY, IMAGE, LABEL, train=False))()


def test_each_scale_is_judged_by_the_template_at_its_resolution(made):
    network, tree = made
    judged = jax.jit(partial(network.apply, train=False))(tree, IMAGE, LABEL)
    class_logits = []
    for scale, (widths, image) in enumerate([((5, 6), IMAGE), ((6,), box_downsample(IMAGE))]):
        inner = dcgan.Discriminator(16 >> scale, 3, "classifier", widths=widths, norm="spectral")
        own = {collection: parts[f"scale_{scale}"] for collection, parts in tree.items()}
        alone = jax.jit(partial(inner.apply, train=False))(own, image, LABEL)
        np.testing.assert_allclose(judged.logits[scale], alone.logits, rtol=1e-5)
        np.testing.assert_allclose(judged.features[scale], alone.features, rtol=1e-5)
        class_logits.append(alone.class_logits)
    np.testing.assert_allclose(judged.class_logits, sum(class_logits) / 2, rtol=1e-5, atol=1e-6)


def test_images_of_all_scales_are_taken_as_they_are(made):
    network, tree = made
    judge = jax.jit(partial(network.apply, train=False))
    one = judge(tree, IMAGE, LABEL)
    halved = box_downsample(IMAGE)
    both = judge(tree, (IMAGE, halved), LABEL)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), one, both)
    other = judge(tree, (IMAGE, halved + 1), LABEL)
    np.testing.assert_array_equal(other.logits[0], both.logits[0])
    assert not np.allclose(other.logits[1], both.logits[1])


def test_spectral_state_moves_at_every_scale(made):
    network, tree = made
    _, moved = network.apply(tree, IMAGE, LABEL, train=True, mutable=["spectral"])
    for scale in ("scale_0", "scale_1"):
        one, other = (each["spectral"][scale]["logit_norm"]["logit/kernel/sigma"] for each in (tree, moved))
        assert one != other
    assert not network.apply(tree, IMAGE, LABEL, train=True, mutable=[])[1]


@pytest.mark.parametrize("images", [(IMAGE,), (IMAGE, IMAGE)])
def test_images_that_do_not_fit_the_scales_are_refused(images):
    network = multiscale.Discriminator(16, TEMPLATES["mlp"], scales=2)
    with pytest.raises(UserError, match="expected one image or 2 of"):
        network.init(KEY, images, train=False)


def test_more_scales_than_the_family_supports_are_refused():
    network = multiscale.Discriminator(16, TEMPLATES["progan"], scales=3)
    with pytest.raises(UserError, match="resolution 4, expected a power of two of at least 8"):
        jax.eval_shape(lambda: network.init(KEY, IMAGE, train=False))

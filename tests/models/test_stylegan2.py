"""StyleGAN2: shapes, styles, noise, labels, and the values of a numpy version of the discriminator's end."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.errors import UserError
from jaxgan.layers.collective import axis
from jaxgan.models.stylegan2 import Discriminator, Generator, stage_widths

KEY = jax.random.key(0)
LATENT = jax.random.normal(KEY, (4, 5))
LABEL = jnp.asarray([0, 1, 2, 1])
SMALL = {"style_dim": 6, "mapping_layers": 2, "base_width": 4, "max_width": 6}
THIN = {"base_width": 4, "max_width": 6}


def invented(network, *inputs):
    """Variables of unit variance without compiling an initialisation; biases are zero."""
    shapes = jax.eval_shape(lambda: network.init(KEY, *inputs, train=False))
    random = np.random.default_rng(0)

    def draw(path, shape):
        names = [entry.key for entry in path]
        if names[-1] in ("bias", "style_mean", "noise_strength"):
            return jnp.zeros(shape.shape)
        slow = 100 if names[-2].startswith("dense_") else 1
        return jnp.asarray(slow * random.normal(size=shape.shape), jnp.float32)

    return jax.tree_util.tree_map_with_path(draw, shapes)


def run(network, variables, *inputs, **options):
    options = {"train": False, **options}
    return jax.jit(lambda variables, *inputs: network.apply(variables, *inputs, **options))(variables, *inputs)


def rngs(seed=0):
    return {"noise": jax.random.key(seed), "mixing": jax.random.key(seed + 1)}


@pytest.fixture(scope="module")
def generator():
    network = Generator(8, 2, **SMALL)
    return network, jax.jit(lambda: network.init(KEY, LATENT, train=False))()


def test_images_are_the_synthesis_of_mapped_latents(generator):
    network, variables = generator
    style = run(network, variables, LATENT, method="map")
    assert style.shape == (4, 4, 6)  # 2 log2(8) - 2 layers
    # without rngs training draws nothing either
    image, _ = run(network, variables, LATENT, train=True, mutable=["average"])
    assert image.shape == (4, 8, 8, 2)
    assert image.dtype == jnp.float32
    np.testing.assert_allclose(image, run(network, variables, style, method="synthesize"), atol=1e-5)


def test_mapping_is_normalised_and_slow(generator):
    network, variables = generator
    layers = variables["params"]["mapping"]
    x = LATENT / jnp.sqrt(jnp.square(LATENT).mean(axis=1, keepdims=True) + 1e-8)
    for name in ("dense_0", "dense_1"):
        kernel = layers[name]["kernel"]
        assert 50 < float(kernel.std()) < 150  # of variance 1 / 0.01^2
        y = x @ kernel * (0.01 / np.sqrt(kernel.shape[0]))
        x = np.sqrt(2) * jnp.where(y > 0, y, 0.2 * y)
    style = run(network, variables, LATENT, method="map")
    np.testing.assert_allclose(style[:, 0], x, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(style, jnp.broadcast_to(style[:, :1], style.shape))


def test_layers_have_styles_of_their_own(generator):
    network, variables = generator
    style = jnp.ones((6, 4, 6)).at[jnp.arange(4), jnp.arange(4)].set(2.0).at[4, 3].set(3.0)
    image = run(network, variables, style, method="synthesize")
    for layer in range(4):
        assert float(abs(image[layer] - image[5]).max()) > 1e-4
    # the last layer is the last pixels', linear in their style
    np.testing.assert_allclose(image[4] - image[5], 2 * (image[3] - image[5]), atol=1e-4)


def test_mixing_takes_later_rows_from_another_latent():
    network = Generator(16, 1, style_mixing=1.0, **SMALL)
    variables, latent = invented(network, LATENT), jnp.tile(LATENT, (8, 1))
    plain = run(network, variables, latent, method="map")
    mixed, _ = run(network, variables, latent, train=True, mutable=["average"], rngs=rngs(), method="map")
    own = np.isclose(mixed, plain, atol=1e-5).all(axis=-1)
    counts = own.sum(axis=1)
    np.testing.assert_array_equal(own, np.arange(6) < counts[:, None])  # first the own, then the other
    assert set(counts.tolist()) == {1, 2, 3, 4, 5}
    never = Generator(16, 1, **{**SMALL, "style_mixing": 0.0})
    unmixed, _ = run(never, variables, latent, train=True, mutable=["average"], rngs=rngs(), method="map")
    np.testing.assert_allclose(unmixed, plain, atol=1e-5)


def test_mean_style_moves_in_training_only_and_over_all_devices(generator):
    network, variables = generator
    style = run(network, variables, LATENT, method="map")[:, 0]
    np.testing.assert_array_equal(variables["average"]["style_mean"], 0.0)

    def moved(latent, train, mutable):
        return network.apply(variables, latent, train=train, mutable=mutable, rngs=rngs(), method="map")[1]

    new = moved(LATENT, True, ["average"])["average"]["style_mean"]
    np.testing.assert_allclose(new, 0.005 * style.mean(axis=0), rtol=1e-3, atol=1e-7)
    assert not moved(LATENT, True, ["constants"]).get("average")
    np.testing.assert_array_equal(moved(LATENT, False, ["average"])["average"]["style_mean"], 0.0)

    def on_one_device(latent):
        with axis("data"):
            return moved(latent, True, ["average"])["average"]["style_mean"]

    each = jax.vmap(on_one_device, axis_name="data")(LATENT.reshape(2, 2, 5))
    np.testing.assert_allclose(each, jnp.broadcast_to(new, each.shape), rtol=1e-3, atol=1e-7)


def test_truncation_pulls_styles_to_their_mean(generator):
    network, variables = generator
    mean = jnp.arange(6.0)
    variables = {**variables, "average": {"style_mean": mean}}
    style = run(network, variables, LATENT, method="map")
    half = run(network, variables, mean + 0.5 * (style - mean), method="synthesize")
    np.testing.assert_allclose(run(network, variables, LATENT, truncation=0.5), half, atol=1e-5)


def test_all_scales_end_with_eight_pixels_and_begin_with_the_image():
    network = Generator(16, 2, all_scales=True, **SMALL)
    variables = invented(network, LATENT)
    images = run(network, variables, LATENT)
    assert [image.shape for image in images] == [(4, 16, 16, 2), (4, 8, 8, 2)]
    np.testing.assert_allclose(images[0], run(Generator(16, 2, **SMALL), variables, LATENT), atol=1e-5)


def test_labels_change_styles():
    network = Generator(8, 1, 3, **SMALL)
    style = run(network, invented(network, LATENT, LABEL), jnp.tile(LATENT[:1], (4, 1)), LABEL, method="map")
    assert not np.allclose(style[0], style[1], atol=1e-3)
    np.testing.assert_allclose(style[1], style[3], atol=1e-6)


def judged(image, label=None, **fields):
    network = Discriminator(image.shape[1], **{**THIN, **fields})
    variables = invented(network, image, label)
    return network, variables, run(network, variables, image, label)


IMAGE = jax.random.normal(KEY, (8, 8, 8, 3))


def test_judgement():
    _, variables, judgement = judged(IMAGE)
    assert judgement.logits.shape == (8,)
    assert judgement.features.shape == (8, 6)
    assert judgement.class_logits is None
    logit = variables["params"]["logit"]
    np.testing.assert_allclose(judgement.logits, (judgement.features @ logit["kernel"])[:, 0] / np.sqrt(6), rtol=1e-4)


def test_projection_compares_features_with_the_mapped_class():
    label = jnp.tile(LABEL, 2)
    _, variables, judgement = judged(IMAGE, label, num_classes=3, mapping_layers=1)
    params = variables["params"]
    embedded = params["mapping"]["label"]["kernel"][label] / np.sqrt(3)
    embedded = embedded / jnp.sqrt(jnp.square(embedded).mean(axis=1, keepdims=True) + 1e-8)
    mapped = embedded @ params["mapping"]["dense_0"]["kernel"] * (0.01 / np.sqrt(6))
    mapped = np.sqrt(2) * jnp.where(mapped > 0, mapped, 0.2 * mapped)
    compared = judgement.features @ params["logit"]["kernel"] / np.sqrt(6)
    np.testing.assert_allclose(judgement.logits, (compared * mapped).sum(axis=1) / np.sqrt(6), rtol=1e-3, atol=1e-5)


def test_classifier_leaves_the_logit_alone():
    label = jnp.tile(LABEL, 2)
    network, variables, judgement = judged(IMAGE, label, num_classes=3, conditioning="classifier")
    assert judgement.class_logits.shape == (8, 3)
    other = run(network, variables, IMAGE, (label + 1) % 3)
    np.testing.assert_allclose(other.logits, judgement.logits, atol=1e-5)


def test_groups_of_the_standard_deviation():
    network, variables, judgement = judged(IMAGE)
    first = run(network, variables, IMAGE[:4])
    np.testing.assert_allclose(first.logits, judgement.logits[:4], atol=1e-5)  # rows 0 to 3 are a group
    alone = run(network, variables, IMAGE[:2])
    assert not np.allclose(alone.logits, judgement.logits[:2], atol=1e-4)


def test_low_precision_is_clamped_and_judged_in_float32(generator):
    exact, variables = generator
    network = Generator(8, 2, dtype=jnp.bfloat16, **SMALL)
    image = run(network, variables, LATENT)
    assert image.dtype == jnp.float32
    assert 0 < float(abs(image - run(exact, variables, LATENT)).max()) < 0.2
    loud = jax.tree.map(lambda leaf: leaf, variables)
    loud["params"]["synthesis"]["conv_8"]["bias"] += 1e6
    assert float(abs(run(network, loud, LATENT)).max()) < 4 * 256
    assert float(abs(run(exact, loud, LATENT)).max()) > 4 * 256
    _, _, judgement = judged(IMAGE, dtype=jnp.bfloat16)
    assert judgement.logits.dtype == judgement.features.dtype == jnp.float32


def test_widths():
    assert stage_widths(1024, None, 512) == (512, 512, 512, 512, 512, 256, 128, 64, 32)
    assert stage_widths(256, None, 512) == (512, 512, 512, 512, 256, 128, 64)
    assert stage_widths(32, 64, 64) == (64, 64, 64, 64)
    for resolution in (4, 12, 0):
        with pytest.raises(UserError, match="a power of two"):
            stage_widths(resolution, None, 512)


def test_impossible_fields():
    cases = [
        (Generator(8, 1, 3, "projection", **SMALL), (LATENT, LABEL)),
        (Discriminator(8, 3, "concat", **THIN), (IMAGE[:4], LABEL)),
        (Discriminator(8, architecture="skip", **THIN), (IMAGE,)),
        (Discriminator(16, **THIN), (IMAGE,)),
    ]
    for network, inputs in cases:
        with pytest.raises(UserError, match="stylegan2"):
            jax.eval_shape(lambda network=network, inputs=inputs: network.init(KEY, *inputs, train=False))

"""DCGAN: shapes, variance, labels, spectral norm."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.errors import UserError
from jaxgan.models import dcgan

KEY = jax.random.key(0)
LABEL = jnp.array([0, 1, 2, 0])
IMAGE = jax.random.uniform(jax.random.key(1), (4, 8, 8, 1), minval=-1.0)


@pytest.mark.parametrize(("resolution", "channels"), [(8, 4), (32, 3), (128, 1)])
def test_any_power_of_two_and_number_of_channels(resolution, channels):
    latent = jax.ShapeDtypeStruct((2, 7), jnp.float32)
    generator = dcgan.Generator(resolution, channels, base_width=4)
    discriminator = dcgan.Discriminator(resolution, base_width=4)
    image, tree = jax.eval_shape(lambda z: generator.init_with_output(KEY, z, train=True), latent)
    judged, _ = jax.eval_shape(lambda x: discriminator.init_with_output(KEY, x, train=True), image)
    assert image.shape == (2, resolution, resolution, channels)
    widest = 4 * resolution // 8  # doubled from 4 at half the resolution to 4 pixels
    assert tree["params"]["stem"]["kernel"].shape == (7, 16 * widest)
    assert judged.features.shape == (2, 16 * widest)
    assert judged.logits.shape == (2,)


@pytest.mark.parametrize("resolution", [0, 4, 12, 28])
def test_other_resolutions_are_refused(resolution):
    with pytest.raises(UserError, match=f"resolution {resolution}, expected a power of two of at least 8"):
        dcgan.Generator(resolution, 1).init(KEY, jnp.ones((1, 2)), train=False)


def test_a_wrong_number_of_widths_is_refused():
    with pytest.raises(UserError, match="2 widths, expected 3 at resolution 32"):
        dcgan.Discriminator(32, widths=(8, 16)).init(KEY, jnp.ones((1, 32, 32, 1)), train=False)


def test_without_norms_the_signal_keeps_its_size_through_all_stages():
    def size(resolution, stages):
        latent = jax.random.normal(jax.random.key(2), (8, 32))
        generator = dcgan.Generator(resolution, 1, widths=(32,) * stages, norm="none")
        image, _ = jax.jit(lambda z: generator.init_with_output(KEY, z, train=True))(latent)
        return float(jnp.arctanh(image).std())  # before tanh

    assert size(64, 4) == pytest.approx(size(8, 1), rel=0.4)  # at half a stage it would be 0.125


def test_half_precision_networks_have_finite_gradients_in_float32():
    generator = dcgan.Generator(8, 1, 3, widths=(6,), dtype=jnp.bfloat16)
    discriminator = dcgan.Discriminator(8, 3, widths=(6,), stddev=True, dtype=jnp.bfloat16)
    latent = jax.random.normal(KEY, (4, 5))
    trees = jax.jit(
        lambda: (
            generator.init(KEY, latent, LABEL, train=False),
            discriminator.init(KEY, IMAGE, LABEL, train=False),
        )
    )()

    def logits(params):
        trained = [{**tree, "params": part} for tree, part in zip(trees, params)]
        fakes, _ = generator.apply(trained[0], latent, LABEL, train=True, mutable=["batch_stats"])
        judged, _ = discriminator.apply(trained[1], fakes, LABEL, train=True, mutable=["batch_stats"])
        return jnp.sin(judged.logits).sum(), (fakes, judged)

    gradients, (fakes, judged) = jax.jit(jax.grad(logits, has_aux=True))(tuple(tree["params"] for tree in trees))
    assert (fakes.dtype, judged.logits.dtype, judged.features.dtype) == (jnp.float32, jnp.float32, jnp.bfloat16)
    for leaf in jax.tree.leaves(gradients):
        assert leaf.dtype == jnp.float32
        assert np.isfinite(leaf).all()
        assert np.abs(leaf).max() > 0


def test_labels_are_judged_by_projection():
    network = dcgan.Discriminator(8, 3, widths=(6,), norm="none")
    tree = network.init(KEY, IMAGE, LABEL, train=False)
    one, other = (network.apply(tree, IMAGE, jnp.full(4, label), train=False) for label in (0, 2))
    layers = tree["params"]
    projected = one.features @ layers["projected"]["kernel"] + layers["projected"]["bias"]
    table = layers["label"]["table"]["embedding"]
    np.testing.assert_allclose(other.logits - one.logits, projected @ (table[2] - table[0]), rtol=1e-3, atol=1e-5)


def test_the_logits_depend_on_the_rest_of_the_batch_by_minibatch_stddev():
    def alike(stddev):
        network = dcgan.Discriminator(8, widths=(6,), norm="none", stddev=stddev)
        tree = network.init(KEY, IMAGE, train=False)
        other = IMAGE.at[1:].set(IMAGE[0])
        together, alone = (network.apply(tree, image, train=True).logits[0] for image in (IMAGE, other))
        return np.allclose(together, alone, atol=1e-6)

    assert alike(False)
    assert not alike(True)


@pytest.fixture(scope="module")
def spectral():
    """A spectral discriminator and its variables after 60 training forwards of fixed params."""
    network = dcgan.Discriminator(8, 3, widths=(6,), norm="spectral")
    tree = network.init(KEY, IMAGE, LABEL, train=False)
    forward = jax.jit(lambda tree: network.apply(tree, IMAGE, LABEL, train=True, mutable=["spectral"])[1])
    for _ in range(60):
        tree = {**tree, **forward(tree)}
    return network, tree


def test_spectral_norm_finds_the_largest_singular_values(spectral):
    _, tree = spectral
    for layer, path in (
        ("down_0", "kernel"),
        ("projected", "kernel"),
        ("logit", "kernel"),
        ("label", "table/embedding"),
    ):
        kernel = tree["params"][layer]
        for part in path.split("/"):
            kernel = kernel[part]
        largest = np.linalg.svd(np.asarray(kernel).reshape(-1, kernel.shape[-1]), compute_uv=False)[0]
        np.testing.assert_allclose(tree["spectral"][f"{layer}_norm"][f"{layer}/{path}/sigma"], largest, rtol=1e-3)


def test_a_spectral_discriminator_is_blind_to_the_scale_of_its_kernels(spectral):
    network, tree = spectral
    larger = {**tree, "params": jax.tree.map(lambda leaf: 3 * leaf, tree["params"])}  # biases are zero
    one, other = (network.apply(variables, IMAGE, LABEL, train=False) for variables in (tree, larger))
    np.testing.assert_allclose(other.logits, one.logits, rtol=1e-4, atol=1e-6)


def test_a_frozen_spectral_forward_writes_nothing_and_equals_the_moving_one(spectral):
    network, tree = spectral
    frozen, nothing = network.apply(tree, IMAGE, LABEL, train=True, mutable=[])
    moving, updates = network.apply(tree, IMAGE, LABEL, train=True, mutable=["spectral"])
    assert not nothing
    assert updates
    np.testing.assert_array_equal(frozen.logits, moving.logits)


def test_labels_can_be_concatenated_to_the_image():
    network = dcgan.Discriminator(8, 3, "concat", widths=(6,), norm="none")
    tree = network.init(KEY, IMAGE, LABEL, train=False)
    assert tree["params"]["down_0"]["kernel"].shape == (4, 4, 2, 6)
    bare = dcgan.Discriminator(8, widths=(6,), norm="none")  # that gets the picture of the class from outside
    planes = tree["params"]["label"]["table"]["embedding"][LABEL].reshape(4, 8, 8, 1)
    params = {name: layer for name, layer in tree["params"].items() if name != "label"}
    expected = bare.apply({"params": params}, jnp.concatenate([IMAGE, planes], axis=-1), train=False)
    np.testing.assert_allclose(network.apply(tree, IMAGE, LABEL, train=False).logits, expected.logits, rtol=1e-6)


def test_labels_can_be_predicted():
    network = dcgan.Discriminator(8, 3, "classifier", widths=(6,))
    judged, tree = network.init_with_output(KEY, IMAGE, LABEL, train=False)
    layer = tree["params"]["class_logits"]
    assert judged.class_logits.dtype == jnp.float32
    np.testing.assert_allclose(judged.class_logits, judged.features @ layer["kernel"] + layer["bias"], rtol=1e-4)
    plain = dcgan.Discriminator(8, widths=(6,))
    params = {name: layer for name, layer in tree["params"].items() if name != "class_logits"}
    np.testing.assert_array_equal(plain.apply({**tree, "params": params}, IMAGE, train=False).logits, judged.logits)


def test_each_class_can_have_its_own_norms():
    network, latent = dcgan.Generator(16, 1, 3, "norm", widths=(6, 4)), jnp.ones((4, 5))
    images, tree = jax.jit(lambda: network.init_with_output(KEY, latent, LABEL, train=False))()
    assert tree["params"]["stem"]["kernel"].shape == (5, 96)
    assert tree["params"]["norm_1"]["scale"]["embedding"].shape == (3, 4)
    np.testing.assert_array_equal(images[0], images[1])  # classes start equal
    tree["params"]["norm_1"]["scale"]["embedding"] = jnp.arange(12.0).reshape(3, 4)
    images = network.apply(tree, latent, LABEL, train=False)
    np.testing.assert_array_equal(images[0], images[3])
    assert not np.allclose(images[0], images[1])


def test_conditioning_by_norms_requires_norms():
    with pytest.raises(UserError, match="got norm 'none' with conditioning 'norm', expected 'batch'"):
        dcgan.Generator(8, 1, 3, "norm", norm="none").init(KEY, jnp.ones((4, 5)), LABEL, train=False)

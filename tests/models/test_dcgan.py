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
    with pytest.raises(UserError, match=f"resolution {resolution}, accepted are powers of two from 8"):
        dcgan.Generator(resolution, 1).init(KEY, jnp.ones((1, 2)), train=False)


def test_a_wrong_number_of_widths_is_refused():
    with pytest.raises(UserError, match="2 widths, accepted are 3 at resolution 32"):
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


def test_the_judgement_knows_the_rest_of_the_batch_by_minibatch_stddev():
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

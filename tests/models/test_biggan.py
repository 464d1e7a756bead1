"""BigGAN: published sizes, chunks of the latent, attention, conditioning."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.errors import UserError
from jaxgan.models import biggan

KEY = jax.random.key(0)
LABEL = jnp.array([0, 1, 2, 0])
LATENT = jax.random.normal(jax.random.key(1), (4, 7))


def shapes(network, *inputs):
    return jax.eval_shape(lambda *inputs: network.init_with_output(KEY, *inputs, train=True), *inputs)


def size(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree["params"]))


def test_at_128_pixels_the_networks_have_the_published_number_of_params():
    label = jnp.zeros(2, jnp.int32)
    images, tree = shapes(biggan.Generator(128, 3, 1000), jnp.zeros((2, 120)), label)
    assert size(tree) == 70_433_988  # as printed by the authors' PyTorch code
    _, tree = shapes(biggan.Discriminator(128, 1000), images, label)
    assert size(tree) == 87_982_370


@pytest.mark.parametrize(
    ("resolution", "generator", "discriminator", "halvings"),
    [
        (16, (4, 4), (4, 4, 4), 1),
        (32, (4, 4, 4), (4, 4, 4, 4), 2),
        (64, (16, 8, 4, 2), (1, 2, 4, 8, 16), 4),
        (256, (16, 8, 8, 4, 2, 1), (1, 2, 4, 8, 8, 16, 16), 6),
        (512, (16, 8, 8, 4, 2, 1, 1), (1, 1, 2, 4, 8, 8, 16, 16), 7),
    ],
)
def test_widths_by_resolution(resolution, generator, discriminator, halvings):
    assert biggan.generator_widths(resolution, None, 1) == generator
    assert biggan.discriminator_widths(resolution, None, 1) == (discriminator, halvings)


@pytest.mark.parametrize("resolution", [8, 32, 256])
@pytest.mark.parametrize("num_classes", [0, 3])
def test_any_published_resolution_with_and_without_labels(resolution, num_classes):
    label = LABEL if num_classes else None
    latent = jnp.zeros((4, 16))
    images, tree = shapes(biggan.Generator(resolution, 1, num_classes, base_width=2), latent, label)
    assert images.shape == (4, resolution, resolution, 1)
    assert ("attention" in tree["params"]) == (resolution > 64)
    judged, tree = shapes(biggan.Discriminator(resolution, num_classes, base_width=2), images, label)
    assert judged.logits.shape == (4,)
    assert ("attention" in tree["params"]) == (resolution > 64)


def test_all_weights_start_orthogonal_and_the_embeddings_too():
    """As the authors' code initialises convolutions, linear maps and embeddings; of a table of more classes than
    numbers the columns are orthonormal, of one of fewer the rows."""
    for num_classes in (3, 40):
        settings = {"num_classes": num_classes, "widths": (8, 4)}
        generator = biggan.Generator(16, 1, embedding_dim=12, **settings)
        params = {
            "generator": jax.jit(generator.init, static_argnames="train")(KEY, LATENT, LABEL, train=False)["params"]
        }
        discriminator = biggan.Discriminator(16, **settings)
        image = jnp.zeros((4, 16, 16, 1))
        params["discriminator"] = jax.jit(discriminator.init, static_argnames="train")(KEY, image, LABEL, train=False)[
            "params"
        ]
        matrices = {
            jax.tree_util.keystr(path, simple=True, separator="/"): np.asarray(leaf).reshape(-1, leaf.shape[-1])
            for path, leaf in jax.tree_util.tree_leaves_with_path(params)
            if leaf.ndim > 1
        }
        tables = [name for name in matrices if name.endswith("embedding")]
        assert tables == ["discriminator/label/table/embedding", "generator/label/table/embedding"]
        for name, matrix in matrices.items():
            matrix = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
            np.testing.assert_allclose(matrix.T @ matrix, np.eye(matrix.shape[1]), atol=1e-5, err_msg=name)


@pytest.mark.parametrize("resolution", [4, 12, 1024])
def test_other_resolutions_are_refused(resolution):
    with pytest.raises(UserError, match=f"resolution {resolution}, expected a power of two from 8 to 512"):
        biggan.Generator(resolution, 1).init(KEY, LATENT, train=False)


def test_what_does_not_fit_is_refused():
    with pytest.raises(UserError, match="latent_dim 2, expected 3 or more"):
        biggan.Generator(16, 1, widths=(4, 4)).init(KEY, LATENT[:, :2], train=False)
    with pytest.raises(UserError, match="1 widths, expected 2 at resolution 16"):
        biggan.Generator(16, 1, widths=(4,)).init(KEY, LATENT, train=False)


@pytest.fixture(scope="module")
def conditional():
    """A generator of two blocks with attention between them, its variables, and its jitted forward."""
    network = biggan.Generator(16, 1, 3, widths=(6, 6), embedding_dim=4, attention=8)
    tree = jax.jit(lambda: network.init(KEY, LATENT, LABEL, train=False))()
    return tree, jax.jit(lambda tree, latent, label: network.apply(tree, latent, label, train=False))


def test_each_block_depends_on_its_own_chunk_of_the_latent_and_the_class(conditional):
    tree, forward = conditional
    params = tree["params"]
    assert params["stem"]["kernel"].shape == (3, 16 * 6)  # 7 = 3 + 2 + 2
    assert params["block_1"]["norm_0"]["scale"]["kernel"].shape == (4 + 2, 6)
    deaf = jax.tree.map(jnp.zeros_like, params["block_1"])
    silent = {
        **tree,
        "params": {**params, "block_1": {**params["block_1"], "norm_0": deaf["norm_0"], "norm_1": deaf["norm_1"]}},
    }
    for column, changes in ((0, True), (3, True), (5, False)):
        other = LATENT.at[:, column].add(1.0)
        assert not np.allclose(forward(tree, LATENT, LABEL), forward(tree, other, LABEL), atol=1e-6)
        same = np.allclose(forward(silent, LATENT, LABEL), forward(silent, other, LABEL), atol=1e-6)
        assert same != changes
    assert not np.allclose(forward(tree, LATENT, LABEL), forward(tree, LATENT, LABEL + 1), atol=1e-6)


def test_attention_is_applied_at_the_given_size(conditional):
    tree, forward = conditional
    assert "attention" in tree["params"]
    one = forward(tree, LATENT, LABEL)
    params = {**tree["params"], "attention": {**tree["params"]["attention"], "gamma": jnp.float32(3.0)}}
    assert not np.allclose(one, forward({**tree, "params": params}, LATENT, LABEL), atol=1e-6)


def test_kernels_start_orthogonal(conditional):
    kernel = np.asarray(conditional[0]["params"]["block_0"]["conv_0"]["kernel"]).reshape(-1, 6)
    np.testing.assert_allclose(kernel.T @ kernel, np.eye(6), atol=1e-5)


def test_concatenated_labels_reach_the_start_only():
    network = biggan.Generator(8, 1, 3, "concat", widths=(6,), embedding_dim=4)
    images, tree = shapes(network, LATENT, LABEL)
    assert images.shape == (4, 8, 8, 1)
    assert tree["params"]["stem"]["kernel"].shape == (4 + 4, 16 * 6)
    assert tree["params"]["block_0"]["norm_0"]["scale"]["kernel"].shape == (3, 6)


def test_a_step_of_both_networks_has_finite_gradients():
    generator = biggan.Generator(8, 1, 3, widths=(6,), embedding_dim=4, dtype=jnp.bfloat16)
    discriminator = biggan.Discriminator(8, 3, widths=(6, 6), attention=4, dtype=jnp.bfloat16)
    image = jnp.zeros((4, 8, 8, 1))
    trees = jax.jit(
        lambda: (generator.init(KEY, LATENT, LABEL, train=False), discriminator.init(KEY, image, LABEL, train=False))
    )()

    def loss(params):
        trained = [{**tree, "params": part} for tree, part in zip(trees, params)]
        fakes, _ = generator.apply(trained[0], LATENT, LABEL, train=True, mutable=["batch_stats", "spectral"])
        judged, _ = discriminator.apply(trained[1], fakes, LABEL, train=True, mutable=["spectral"])
        return jnp.sin(judged.logits).sum()

    gradients = jax.jit(jax.grad(loss))(tuple(tree["params"] for tree in trees))
    assert all(leaf.dtype == jnp.float32 and np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))
    assert np.abs(gradients[0]["label"]["table"]["embedding"]).max() > 0

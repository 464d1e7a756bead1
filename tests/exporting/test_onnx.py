"""ONNX graphs give the images of the network in onnxruntime, for any batch."""

import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxgan.errors import UserError
from jaxgan.tasks.generation import truncated

onnx = pytest.importorskip("jaxgan.exporting.onnx")  # of the extra `export`
onnxruntime = pytest.importorskip("onnxruntime")

TOLERANCE = 2e-5  # of images in about [-1, 1]; both compute in float32, in another order


def session_of(function, asks):
    model = onnx.convert(function, asks)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def run(session, latent, label=None):
    given = {"latent": np.asarray(latent)} | ({} if label is None else {"label": label})
    return session.run(["image"], given)[0]


@pytest.mark.parametrize(
    ("family", "labelled"),
    [
        ("dcgan", True),
        ("mlp", True),
        *(
            pytest.param(*each, marks=pytest.mark.slow)
            for each in [
                ("dcgan", False),
                ("stylegan2", False),
                ("stylegan2", True),
                ("biggan", True),
                ("progan", False),
                ("r3gan", True),
                ("resnet", True),
            ]
        ),
    ],
)
def test_every_family_gives_its_images(family, labelled, generator, feed, asks):
    function = generator(family, labelled)
    session = session_of(function, asks(labelled=labelled))
    for count in (1, 3):
        latent, label = feed(count, labelled)
        expected = np.asarray(function(latent, label))
        assert expected.std() > 1e-3
        np.testing.assert_allclose(run(session, latent, label), expected, atol=TOLERANCE * np.abs(expected).max())


@pytest.mark.parametrize(
    "function",
    [
        lambda x: truncated(x, 0.7)[:, :, None, None],
        lambda x: lax.slice_in_dim(jnp.flip(x, 1), 1, 5, 2, axis=1)[..., None, None],
        lambda x: jnp.stack(jnp.split(x, 2, axis=1), axis=2)[..., None],
        lambda x: jnp.pad(x, ((0, 0), (2, 1)), constant_values=3.0)[..., None, None],
        lambda x: (
            jnp.clip(x, -0.5, 0.5)[..., None, None] + jnp.where(x > 0, x**3, -x).mean(axis=1)[:, None, None, None]
        ),
        lambda x: x[..., None, None] + jnp.arange(x.shape[0], dtype=jnp.float32)[:, None, None, None],
        lambda x: jnp.einsum("bi,bj->bji", x, jnp.exp(-jnp.square(x)))[..., None],
        lambda x: x[..., None, None] / x.shape[0],
        lambda x: lax.platform_dependent(x, cpu=lambda x: 2.0 * x, default=lambda x: x + x)[..., None, None],
        lambda x: x.astype(jnp.bfloat16).astype(jnp.float32).reshape(-1, 3, 2, 1) * jnp.eye(3, 2)[None, :, :, None],
    ],
)
def test_operations(function, feed, asks):
    x = np.round(8 * feed(5, False)[0][:, :6]) / 8  # exact in low precision too
    np.testing.assert_allclose(run(session_of(function, asks(6)), x), function(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(
    ("stride", "holes", "padding"), [(1, 1, (1, 1)), (2, 1, (0, 1)), (1, 2, (2, 1)), (1, 2, (1, 3))]
)
def test_convolutions(stride, holes, padding, groups, feed, asks):
    kernel = jnp.asarray(np.random.default_rng(0).normal(size=(3, 3, 4 // groups, 6)), jnp.float32)

    def function(latent):
        image = latent.reshape(-1, 5, 2, 4)
        strides, dilation = (stride, stride), (holes, holes)
        layout = ("NHWC", "HWIO", "NHWC")
        return lax.conv_general_dilated(
            image, kernel, strides, (padding, padding), dilation, None, layout, feature_group_count=groups
        )

    x = feed(3, False)[0]
    np.testing.assert_allclose(run(session_of(function, asks()), x), function(x), rtol=1e-4, atol=1e-4)


def test_weights_enter_as_they_are_used(generator, asks):
    """The graph computes nothing from weights alone: no transposed kernel, no root of a variance."""
    graph = onnx.convert(generator("dcgan", False), asks()).graph
    weights = {each.name for each in graph.initializer}
    assert all(set(node.input) - weights for node in graph.node)
    assert "ConvTranspose" in {node.op_type for node in graph.node}
    assert not {"Sqrt", "Reciprocal"} & {node.op_type for node in graph.node}


def test_what_has_no_form_is_named(asks):
    with pytest.raises(UserError, match=r"uses 'sort'.*--format=stablehlo"):
        onnx.convert(lambda x: jnp.sort(x, axis=1)[..., None, None], asks(4))

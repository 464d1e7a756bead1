"""The networks of configs/video_digits.py, and gradients, equal those that their step is timed against."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import torch_video
from peer import channels_first, double, usual_layout
from torch import nn

from benchmarks.ours import VIDEO
from jaxgan.building.builder import build
from jaxgan.models.dcgan import START

FILL = {"resolution": 32, "channels": 1, "frames": 16}
ROWS = torch_video.CLIPS


def put(layer, params, weight="kernel", layout=usual_layout):
    """Our params into a layer of torch's."""
    names = {"weight": params[weight]} | ({"bias": params["bias"]} if "bias" in params else {})
    with torch.no_grad():
        for name, value in names.items():
            tensor = getattr(layer, name)
            tensor.copy_(double(layout(np.asarray(value), tensor)))


def from_pixels(value, like):
    """A dense kernel to `[4,4,c]`, flattened, as a transposed convolution's of one pixel."""
    return value.reshape(-1, START, START, value.shape[1] // START**2).transpose(0, 3, 1, 2)


def randomized(tree, seed):
    random = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: leaf + 0.1 * np.abs(random.normal(size=leaf.shape)).astype(np.float32), tree)


@pytest.fixture(scope="module")
def inputs():
    random = np.random.default_rng(0)
    time = np.sort(random.permuted(np.tile(np.arange(16), (ROWS, 1)), axis=1)[:, :3]).astype(np.float32)
    latent = random.normal(size=(ROWS, 64)).astype(np.float32)
    motion = random.normal(size=(ROWS, 1, 6)).astype(np.float32)
    return latent, motion, time


def test_generators_are_equal(inputs):
    latent, motion, time = inputs
    network = build(VIDEO["generator"], "network", fill=FILL)
    given = (jnp.asarray(latent), None, jnp.asarray(motion), jnp.asarray(time))
    tree = randomized(network.init(jax.random.key(0), *given, train=True), 1)
    forward = jax.jit(lambda tree: network.apply(tree, *given, train=True, mutable=["batch_stats", "batch"])[0])
    ours = forward(tree)
    theirs = torch_video.Generator().double()
    params = tree["params"]
    put(theirs.speed, params["motion"]["speed"])
    for name in ("content", "place"):
        put(getattr(theirs, name), params[name])
    stem, *ups = (layer for layer in theirs.images if isinstance(layer, nn.ConvTranspose2d))
    put(stem, params["backbone"]["stem"], layout=from_pixels)
    for index, up in enumerate(ups):
        put(up, params["backbone"][f"up_{index}"])
    for index, norm in enumerate(layer for layer in theirs.images if isinstance(layer, nn.BatchNorm2d)):
        put(norm, params["backbone"][f"norm_{index}"], "scale")
    frames = theirs(double(latent), double(motion[:, 0]), double(time)).detach().numpy()
    np.testing.assert_allclose(np.asarray(ours).reshape(-1, 1, 32, 32), frames, atol=2e-5)
    assert np.ptp(frames, axis=0).max() > 0.5


def test_discriminators_are_equal(inputs):
    time = inputs[2]
    clips = jnp.asarray(np.random.default_rng(2).uniform(-1, 1, (ROWS, 3, 32, 32, 1)), jnp.float32)
    network = build(VIDEO["discriminator"], "network", fill=FILL)
    tree = randomized(network.init(jax.random.key(0), clips, None, jnp.asarray(time), train=True), 3)
    judge = jax.jit(lambda clips: network.apply(tree, clips, None, jnp.asarray(time), train=True).logits)
    theirs = torch_video.Discriminator().double()
    params = tree["params"]
    for index, down in enumerate(theirs.downs):
        put(down, params["backbone"][f"down_{index}"])
    for name, layer in zip(("conv", "conv_1"), theirs.meetings):
        put(layer, params["meeting"][name])
        put(layer.affine, params["meeting"][name]["affine"])
    for index, layer in enumerate(theirs.distances):
        put(layer, params["distances"][f"dense_{index}"])
    put(theirs.logit, params["backbone"]["logit"])
    put(theirs.compared, params["compared"])
    pixels = channels_first(np.asarray(clips).reshape(-1, 32, 32, 1)).requires_grad_()
    logits = theirs(pixels, double(time))
    np.testing.assert_allclose(judge(clips), logits.detach().numpy(), rtol=1e-4, atol=1e-5)
    (gradient,) = torch.autograd.grad(logits.sum(), pixels)
    ours = np.asarray(jax.grad(lambda clips: judge(clips).sum())(clips)).reshape(-1, 1, 32, 32)
    np.testing.assert_allclose(ours, gradient.numpy(), atol=1e-4 * np.abs(ours).max())

"""The network of configs/vsr_clips.py, and its gradients, equal those of the network that its step is timed against."""

import jax
import jax.numpy as jnp
import numpy as np
import torch
import torch_vsr
from peer import double, usual_layout

from benchmarks.ours import CASES
from jaxgan.building.builder import build

CLIPS, FRAMES, SMALL = 2, 3, torch_vsr.SMALL


def put(layer, params):
    with torch.no_grad():
        layer.weight.copy_(double(usual_layout(np.asarray(params["kernel"]), layer.weight)))
        layer.bias.copy_(double(params["bias"]))


def test_clips_and_gradients_are_equal():
    random = np.random.default_rng(0)
    clips = jnp.asarray(random.uniform(-1, 1, (CLIPS, FRAMES, SMALL, SMALL, 3)), jnp.float32)
    network = build(CASES["vsr"]["generator"], "network", fill={"channels": 3})
    tree = network.init(jax.random.key(0), clips, None, train=True)
    tree = jax.tree.map(lambda leaf: leaf + 0.05 * random.normal(size=leaf.shape).astype(np.float32), tree)
    forward = jax.jit(lambda clips: network.apply(tree, clips, None, train=True))
    theirs, params = torch_vsr.Recurrent().double(), tree["params"]
    for name in ("enter", "memory", "image"):
        put(getattr(theirs, name), params[name])
    for index, block in enumerate(theirs.blocks):
        put(block.first, params[f"block_{index}"]["conv_0"])
        put(block.second, params[f"block_{index}"]["conv_1"])
    seen = double(np.asarray(clips).transpose(0, 1, 4, 2, 3)).requires_grad_()
    made = theirs(seen)
    ours, wanted = np.asarray(forward(clips)), made.detach().numpy().transpose(0, 1, 3, 4, 2)
    np.testing.assert_allclose(ours, wanted, atol=1e-4 * np.abs(wanted).max())
    (gradient,) = torch.autograd.grad(made.square().mean(), seen)
    found = np.asarray(jax.jit(jax.grad(lambda clips: jnp.square(forward(clips)).mean()))(clips))
    gradient = gradient.numpy().transpose(0, 1, 3, 4, 2)
    # rounding flips a few ReLUs, so not every number is compared
    assert np.linalg.norm(found - gradient) < 2e-2 * np.linalg.norm(gradient)

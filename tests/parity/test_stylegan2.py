"""Imported StyleGAN2 weights against the package stylegan2-torch: same weights, same images."""

import jax
import jax.numpy as jnp
import numpy as np
import torch

from benchmarks.peers.torch_stylegan2 import load_package
from jaxgan.models.pretrained.stylegan2_torch import from_torch
from jaxgan.models.stylegan2 import Generator

STYLE, LAYERS, WIDTHS = 8, 3, {4: 10, 8: 10, 16: 6}


def common_names(network, noises):
    """The package's weights under the names of the common re-implementation."""
    found = {"input.input": network.input.input}
    for index in range(LAYERS):
        layer = network.mapping[index + 1]
        found |= {f"style.{index + 1}.weight": layer.weight, f"style.{index + 1}.bias": layer.bias}
    convs = [network.convs[0]]
    for up, conv in zip(network.up_convs, network.convs[1:]):
        convs += [up, conv]
    for number, conv in enumerate(convs):
        name = "conv1" if number == 0 else f"convs.{number - 1}"
        found |= {
            f"{name}.conv.modulation.weight": conv.affine.weight,
            f"{name}.conv.modulation.bias": conv.affine.bias,
        }
        found |= {f"{name}.conv.weight": conv.weight, f"{name}.noise.weight": conv.add_noise.weight}
        found |= {f"{name}.activate.bias": conv.leaky_relu.bias, f"noises.noise_{number}": noises[number]}
    for number, layer in enumerate(network.to_rgbs):
        name = "to_rgb1" if number == 0 else f"to_rgbs.{number - 1}"
        found |= {
            f"{name}.conv.modulation.weight": layer.affine.weight,
            f"{name}.conv.modulation.bias": layer.affine.bias,
        }
        found |= {f"{name}.conv.weight": layer.weight, f"{name}.bias": layer.bias}
    return {name: value.detach().numpy() for name, value in found.items()}


def test_the_same_weights_give_the_same_images():
    torch.manual_seed(0)
    make_generator, _ = load_package(True)
    network = make_generator(16, STYLE, LAYERS, 0.01, WIDTHS)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 1:  # biases and noise strengths start at zero, which would hide errors
                parameter.add_(0.3 * torch.randn_like(parameter))
    noises = [torch.randn(1, 1, size, size) for size in (4, 8, 8, 16, 16)]
    latents = torch.randn(4, STYLE)
    with torch.no_grad():
        theirs = network([latents], noises=noises).permute(0, 2, 3, 1).numpy()
    imported = from_torch(common_names(network, noises))
    section = {key: value for key, value in imported.section.items() if key != "name"}
    tree = {
        "params": imported.params,
        **imported.variables,
        "average": {"style_mean": np.zeros(STYLE, np.float32)},
    }
    ours = Generator(**section).apply(jax.tree.map(jnp.asarray, tree), jnp.asarray(latents.numpy()), None, train=False)
    assert np.abs(ours - theirs).max() <= 1e-3 * np.abs(theirs).max()
    assert theirs.std() > 0.1

"""VGG's features against torch's layers, LPIPS against the package lpips; shared random weights, its own heads."""

import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from jaxgan.losses.perceptual import lpips
from jaxgan.models.pretrained.vgg import LPIPS, Backbone, load_backbone, lpips_heads

published = pytest.importorskip("lpips")

VGG = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
MEAN, DEVIATION = (torch.tensor(each)[:, None, None] for each in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))


def make_vgg(counts):
    layers, names, channels = [], [], 3
    for stage, (width, count) in enumerate(zip((64, 128, 256, 512, 512), counts), 1):
        for index in range(1, count + 1):
            layers += [torch.nn.Conv2d(channels, width, 3, padding=1), torch.nn.ReLU()]
            names += [f"conv{stage}_{index}", f"relu{stage}_{index}"]
            channels = width
        layers.append(torch.nn.MaxPool2d(2))
        names.append(f"pool{stage}")
    return layers, names


def make_alexnet():
    layers, names, channels = [], [], 3
    for index, (width, kernel, stride, padding) in enumerate(
        [(64, 11, 4, 2), (192, 5, 1, 2), (384, 3, 1, 1), (256, 3, 1, 1), (256, 3, 1, 1)], 1
    ):
        layers += [torch.nn.Conv2d(channels, width, kernel, stride, padding), torch.nn.ReLU()]
        names += [f"conv{index}", f"relu{index}"]
        channels = width
        if index in (1, 2, 5):
            layers.append(torch.nn.MaxPool2d(3, 2))
            names.append(f"pool{index}")
    return layers, names


def random_network(network):
    """Layers of torchvision's order with weights that keep signals alive, and their names."""
    torch.manual_seed(0)
    layers, names = make_alexnet() if network == "alexnet" else make_vgg(VGG[network])
    for layer in layers:
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(layer.weight)
            torch.nn.init.normal_(layer.bias, std=0.1)
    return torch.nn.Sequential(*layers).eval(), names


def loaded(network, layers, folder):
    """The params, imported from a file as torchvision writes it."""
    path = folder / f"{network}.pth"
    torch.save({f"features.{name}": value for name, value in layers.state_dict().items()}, path)
    return load_backbone(network, str(path), published=False)


def images(size, seed):
    return np.random.default_rng(seed).uniform(-1, 1, (2, size, size, 3)).astype(np.float32)


def in_torch(image):
    return torch.from_numpy(image).permute(0, 3, 1, 2)


@pytest.mark.parametrize(("network", "size"), [("vgg16", 32), ("vgg19", 37), ("alexnet", 67)])
def test_features_agree(network, size, tmp_path):
    layers, names = random_network(network)
    image = images(size, 0)
    expected, x = {}, ((in_torch(image) + 1) / 2 - MEAN) / DEVIATION
    with torch.no_grad():
        for name, layer in zip(names, layers):
            x = expected[name] = layer(x).clone()
    wanted = tuple(name for name in names if not name.startswith("pool"))
    maps = jax.jit(Backbone(network, wanted).apply)(loaded(network, layers, tmp_path), jnp.asarray(image))
    for name in wanted:
        theirs = expected[name].permute(0, 2, 3, 1).numpy()
        assert np.linalg.norm(maps[name] - theirs) <= 1e-4 * np.linalg.norm(theirs), name
        assert theirs.std() > 0.1


@pytest.mark.parametrize(("network", "short", "size"), [("vgg16", "vgg", 32), ("alexnet", "alex", 64)])
def test_lpips_equals_the_packages(network, short, size, tmp_path, monkeypatch):
    layers, _ = random_network(network)
    tree = loaded(network, layers, tmp_path)
    monkeypatch.setattr(
        published.pretrained_networks.tv,
        network,
        lambda pretrained: types.SimpleNamespace(features=layers),
        raising=False,
    )
    theirs = published.LPIPS(net=short, pnet_rand=True, verbose=False)
    heads, backbone = lpips_heads(network), Backbone(network, LPIPS[network])
    target, far = images(size, 1), images(size, 2)
    near = (target + 0.1 * far).clip(-1, 1)

    @jax.jit
    @functools.partial(jax.value_and_grad, has_aux=True)
    def distances(restored, target, tree):
        values = lpips(restored, target, lambda image: backbone.apply(tree, image), heads)
        return values.sum(), values

    for other in (far, near):
        restored = in_torch(other).requires_grad_()
        expected = theirs(restored, in_torch(target))[:, 0, 0, 0]
        expected.sum().backward()
        (_, values), slope = distances(jnp.asarray(other), jnp.asarray(target), tree)
        np.testing.assert_allclose(values, expected.detach().numpy(), rtol=1e-4)
        gradient = restored.grad.permute(0, 2, 3, 1).numpy()
        assert np.linalg.norm(slope - gradient) <= 1e-3 * np.linalg.norm(gradient)
        assert expected.min() > 1e-3

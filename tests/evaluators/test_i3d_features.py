"""I3D's input clips and the names of its features. The logits are tested in tests/parity."""

import numpy as np
import pytest

from jaxgan.errors import UserError
from jaxgan.evaluators import i3d_features as module
from jaxgan.evaluators.i3d_features import I3DFeatures, i3d_features
from jaxgan.models.pretrained.i3d import I3D


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 32, 32, 3), "got pictures, expected clips"),
        ((2, 8, 32, 32, 3), "got clips of 8 frames, expected clips of at least 9 frames"),
        ((2, 16, 32, 32, 4), "got 4 channels, expected 1 or 3"),
    ],
)
def test_unsuitable_clips_raise(shape, message):
    look = I3DFeatures({}, "i3d", "0")
    with pytest.raises(UserError, match=rf"config\.evaluation\.features: {message}"):
        look(np.zeros(shape, np.uint8))


def test_clips_are_seen_at_the_published_size_and_range(monkeypatch):
    monkeypatch.setattr(I3D, "apply", lambda self, tree, clips: clips)
    look = I3DFeatures({}, "i3d", "0")
    ramp = np.arange(0, 256, 16, dtype=np.uint8)
    clips = np.broadcast_to(ramp[:, None, None], (1, 9, 16, 16, 1))
    seen = look(clips)
    assert seen.shape == (1, 9, 224, 224, 3)
    assert (seen.min(), seen.max()) == (-1.0, pytest.approx(240 / 127.5 - 1))
    np.testing.assert_allclose(np.diff(seen[0, 3, 7:-7, 0, 1]), 16 / 14 / 127.5, rtol=1e-3)


def test_only_the_published_weights_have_the_published_name(monkeypatch):
    tree = {"params": {"logits": {"kernel": np.ones((2, 3), np.float32), "bias": np.zeros(3, np.float32)}}}
    monkeypatch.setattr(module, "load_i3d", lambda path: tree)
    found = i3d_features("any.pt")
    assert found.name == f"i3d-unpublished-{found.checksum[:8]}"
    monkeypatch.setattr(module, "PUBLISHED", found.checksum)
    assert i3d_features("any.pt").name == "i3d-kinetics-400"


def test_a_missing_file_raises_with_its_field(tmp_path):
    with pytest.raises(
        UserError, match=r"config\.evaluation\.weights: .*nowhere\.pt' is not a file; of I3D, its published"
    ):
        i3d_features(str(tmp_path / "nowhere.pt"))

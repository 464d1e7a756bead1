"""StableHLO files give the images of the network, for any batch, and hold one branch for one platform."""

import subprocess
import sys

import jax
import numpy as np
import pytest
from jax import export, lax

from jaxgan.errors import UserError
from jaxgan.exporting import stablehlo

pytest.importorskip("flatbuffers")

TOLERANCE = 1e-5  # of images in about [-1, 1]


@pytest.mark.parametrize(
    ("family", "labelled"),
    [
        ("dcgan", True),
        *(pytest.param(*each, marks=pytest.mark.slow) for each in [("dcgan", False), ("stylegan2", True)]),
    ],
)
def test_a_file_gives_the_images_of_its_network(family, labelled, generator, feed, asks, tmp_path):
    function = generator(family, labelled)
    stablehlo.write(tmp_path / "g.bin", function, asks(labelled=labelled))
    loaded = stablehlo.load(tmp_path / "g.bin")
    for count in (1, 3):
        given = [each for each in feed(count, labelled) if each is not None]
        expected = np.asarray(function(*given))
        assert expected.std() > 1e-3
        np.testing.assert_allclose(loaded(*given), expected, atol=TOLERANCE * np.abs(expected).max())


@pytest.mark.slow
def test_a_file_needs_no_jaxgan(generator, feed, asks, tmp_path):
    function, (latent, _) = generator("dcgan", False), feed(2, False)
    stablehlo.write(tmp_path / "g.bin", function, asks())
    np.save(tmp_path / "latent.npy", latent)
    code = (
        "import sys, numpy as np; from jax import export; "
        "program = export.deserialize(bytearray(open('g.bin', 'rb').read())); "
        "np.save('image.npy', program.call(np.load('latent.npy'))); assert 'jaxgan' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    np.testing.assert_allclose(np.load(tmp_path / "image.npy"), function(latent), atol=TOLERANCE)


def forked(x):
    return lax.platform_dependent(x, cpu=lambda x: lax.sin(x), default=lambda x: lax.cos(x))[:, :, None, None]


@pytest.mark.parametrize(("platform", "kept", "gone"), [("cpu", "sine", "cosine"), ("cuda", "cosine", "sine")])
def test_a_program_of_one_platform_holds_its_branch_alone(platform, kept, gone, asks, tmp_path):
    stablehlo.write(tmp_path / "g.bin", forked, asks(4), platforms=(platform,))
    program = export.deserialize(bytearray((tmp_path / "g.bin").read_bytes()))
    assert program.platforms == (platform,)
    text = program.mlir_module()
    assert f"stablehlo.{kept} " in text
    assert f"stablehlo.{gone} " not in text


def test_a_program_of_all_platforms_is_compiled_to_the_branch_of_one(asks, tmp_path):
    stablehlo.write(tmp_path / "g.bin", forked, asks(4))
    loaded = stablehlo.load(tmp_path / "g.bin")
    compiled = jax.jit(loaded).lower(np.zeros((2, 4), np.float32)).compile().as_text()
    kept, gone = ("sine(", "cosine(") if jax.default_backend() == "cpu" else ("cosine(", "sine(")
    assert kept in compiled.replace("cosine(", "COSINE(" if kept == "sine(" else "cosine(")
    assert f" {gone}" not in compiled
    assert "conditional" not in compiled


def test_mistakes(asks, tmp_path):
    with pytest.raises(UserError, match="--platforms: got 'cpu,abacus'"):
        stablehlo.write(tmp_path / "g.bin", forked, asks(4), platforms=("cpu", "abacus"))
    with pytest.raises(UserError, match="cannot be read"):
        stablehlo.load(tmp_path / "absent.bin")
    (tmp_path / "other.bin").write_bytes(b"no program")
    with pytest.raises(UserError, match="is not an exported generator"):
        stablehlo.load(tmp_path / "other.bin")
    with pytest.raises(UserError, match="--format=stablehlo: the network cannot be traced for batches of any size"):
        stablehlo.write(tmp_path / "g.bin", lambda x: x.reshape(len(x), 2, 2, 1), asks(4))

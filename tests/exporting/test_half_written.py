"""An export that is interrupted while writing leaves the previous file, and no other."""

import resource
import signal

import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.fields import Field
from jaxgan.weights import safetensors

ASKS = {"latent": Field((8,), kind="latent")}
WEIGHTS = np.random.default_rng(0).normal(size=(8, 400)).astype(np.float32)


def write_safetensors(path):
    safetensors.write(path, {"weights": WEIGHTS})


def write_onnx(path):
    pytest.importorskip("onnx")
    from jaxgan.exporting import onnx

    onnx.write(path, lambda latent: jnp.reshape(latent @ WEIGHTS, (-1, 20, 20, 1)), ASKS)


def write_stablehlo(path):
    pytest.importorskip("flatbuffers")
    from jaxgan.exporting import stablehlo

    stablehlo.write(path, lambda latent: latent @ WEIGHTS, ASKS, platforms=["cpu"])


@pytest.mark.parametrize("write", [write_safetensors, write_onnx, write_stablehlo])
def test_a_file_that_may_not_grow(write, tmp_path):
    path = tmp_path / "generator"
    path.write_text("the one before")
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
        with pytest.raises(OSError, match="File too large"):
            write(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert [each.name for each in tmp_path.iterdir()] == ["generator"]
    assert path.read_text() == "the one before"
    write(path)
    assert path.stat().st_size > 2000
    assert [each.name for each in tmp_path.iterdir()] == ["generator"]

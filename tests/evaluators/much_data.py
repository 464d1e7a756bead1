"""FID of 60,000 images of 64 pixels; run by test_memory in a process of its own, whose peak memory in MB it prints."""

import pathlib
import re
import tempfile
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.data.sources import DataSpec
from jaxgan.evaluators import distribution, inception_scores
from jaxgan.evaluators.distribution import Distribution
from jaxgan.evaluators.evaluator import Trained
from jaxgan.evaluators.inception_features import Seen
from jaxgan.evaluators.streams import Features
from jaxgan.fields import Field, picture_fields
from jaxgan.game import Product, Weights
from jaxgan.inference.sampling import Sampler
from jaxgan.parallel.mesh import make_mesh

COUNT, SIDE, WIDTH = 60_000, 64, 64


class Lazy:
    """Images made when they are read: 737 MB of them in all."""

    spec = DataSpec("lazy", "train", COUNT, picture_fields(SIDE, SIDE, 3), "f" * 8)

    def read(self, indices):
        random = np.random.default_rng(int(indices[0]))
        return {"image": random.integers(0, 256, (len(indices), SIDE, SIDE, 3), np.uint8)}


class StandIn:
    """One random convolution in Inception's place."""

    name, checksum = "inception-test", "abc"

    def __init__(self):
        kernel = np.random.default_rng(5).normal(size=(8, 8, 3, WIDTH)).astype(np.float32)

        @jax.jit
        def run(kernel, images):
            dimensions = ("NHWC", "HWIO", "NHWC")
            x = images.astype(jnp.float32) / 127.5 - 1
            x = jax.lax.conv_general_dilated(x, kernel, (8, 8), "VALID", dimension_numbers=dimensions)
            features = jnp.tanh(x).mean(axis=(1, 2))
            return features, features

        self._look = Features(run, kernel, most=256)

    def __call__(self, images):
        return Seen(*self._look(images))


def repeated(weights, asked, memory):
    """An image is its latent, repeated."""
    latent = asked["latent"]
    pixels = jnp.broadcast_to(latent[:, :, None, None] * weights.params["size"], (len(latent), SIDE, SIDE, 3))
    return {"image": jnp.tanh(pixels)}, memory


def main():
    mesh = make_mesh({"data": -1})
    latent, image = Field((SIDE,), kind="latent", law="normal"), Field((SIDE, SIDE, 3), kind="pixels")
    sampler = Sampler(Product({"latent": latent}, {"image": image}, (), repeated), mesh=mesh)
    weights = Weights({"size": jax.device_put(1.0)}, {})
    with (
        tempfile.TemporaryDirectory() as cache_dir,
        mock.patch.object(inception_scores, "load_inception", return_value=StandIn()),
        mock.patch.object(distribution, "check_weights", lambda path: path),
    ):
        judge = Distribution(Lazy(), cache_dir=cache_dir, samples=COUNT, features="inception")
        scores = judge.run(Trained(lambda seed, count: sampler.share(weights, seed, count)), 0)
        assert judge.manifest["samples"] == COUNT
        assert judge.manifest["reference_images"] == 50_000
    assert scores["fid/inception-test"] > 0
    # not of getrusage, whose peak is at least that of the process that started this one
    print(int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path("/proc/self/status").read_text()).group(1)) / 1e3)


if __name__ == "__main__":
    main()

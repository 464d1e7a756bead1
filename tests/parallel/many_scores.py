"""Scores of one small generator on whatever devices this process has; run by test_scores_on_devices.

Writes them and where the weights lay as JSON to the file that it is given. The second argument is how many devices
share each large array, the third are the kinds of features; then where process 0 listens, how many there are, and which
one this is.
"""

import json
import sys
import tempfile
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.data.sources import DataSpec
from jaxgan.evaluators import classifier_scores, distribution, inception_scores
from jaxgan.evaluators.classifier_features import Recipe, load_or_train_classifier
from jaxgan.evaluators.distribution import Distribution
from jaxgan.evaluators.evaluator import Trained
from jaxgan.evaluators.inception_features import Seen
from jaxgan.evaluators.streams import Features
from jaxgan.fields import picture_fields
from jaxgan.game import GENERATOR, Weights
from jaxgan.inference.sampling import Sampler
from jaxgan.losses.adversarial import non_saturating
from jaxgan.models import mlp
from jaxgan.parallel import placement
from jaxgan.parallel.distributed import Processes, joined
from jaxgan.parallel.mesh import make_mesh
from jaxgan.tasks.adversary import Adversary
from jaxgan.tasks.generation import Generation

SMALL = 64  # elements, so that the generator's kernels are large enough to be split
SIDE, CLASSES, LATENT = 16, 3, 6
RECIPE = Recipe(widths=(4,), hidden=8, least_images=1_500, most_images=1_500, learning_rate=1e-2, shift=0)


class Stripes:
    """Noise in which each class has a different bright part."""

    def __init__(self, size=150):
        random = np.random.default_rng(0)
        self._labels = (np.arange(size) % CLASSES).astype(np.int32)
        self._images = random.integers(0, 120, (size, SIDE, SIDE, 1)).astype(np.uint8)
        for image, label in zip(self._images, self._labels):
            image[5 * label : 5 * label + 5] += 100
        self.spec = DataSpec("stripes", "train", size, picture_fields(SIDE, SIDE, 1, tuple("abc")), "f" * 8)

    def read(self, indices):
        rows = np.asarray(indices)
        return {"image": self._images[rows], "label": self._labels[rows]}


class StandIn:
    """A small random network instead of Inception, on all devices."""

    name, checksum = "inception-test", "abc"

    def __init__(self):
        weights = np.random.default_rng(5).normal(size=(SIDE * SIDE, 10)).astype(np.float32) / SIDE

        @jax.jit
        def run(weights, images):
            flat = images.reshape(len(images), -1).astype(jnp.float32) / 127.5 - 1
            features = jnp.tanh(flat @ weights)
            return features, 3 * features[:, :4]

        self._look = Features(run, weights, most=8)

    def __call__(self, images):
        return Seen(*self._look(images))


def find_scores(fsdp=1, kinds=("classifier", "inception", "patches")):
    """Scores by kind of features and name, with batches of 30, which neither 2 nor 4 devices divide evenly."""
    mesh = make_mesh({"data": -1, "fsdp": fsdp})
    generator = mlp.Generator(SIDE, 1, widths=(24,), num_classes=CLASSES)
    adversary = Adversary(mlp.Discriminator(widths=(8,)), non_saturating)
    task = Generation(generator, adversary, latent_dim=LATENT, num_classes=CLASSES)
    batch = {"image": jnp.zeros((4, SIDE, SIDE, 1)), "label": jnp.zeros(4, jnp.int32)}

    def init():
        params, variables = task.init(jax.random.key(1), batch)
        return {GENERATOR: params[GENERATOR]}, {GENERATOR: variables[GENERATOR]}

    with mock.patch.object(placement, "SMALL", SMALL):
        weights = jax.jit(init, out_shardings=placement.split_params(mesh, jax.eval_shape(init)))()
    split = sum(not leaf.sharding.is_fully_replicated for leaf in jax.tree.leaves(weights))
    sampler = Sampler(task.products[GENERATOR], batch_size=30, mesh=mesh)

    def generate(seed, labels):
        return sampler.share(Weights(*weights), seed, len(labels), labels)

    found = {}
    with (
        tempfile.TemporaryDirectory() as cache_dir,
        mock.patch.object(inception_scores, "load_inception", return_value=StandIn()),
        mock.patch.object(distribution, "check_weights", lambda path: path),
        mock.patch.object(
            classifier_scores,
            "load_or_train_classifier",
            lambda **given: load_or_train_classifier(**given, recipe=RECIPE),
        ),
    ):
        for kind in kinds:
            settings = {"samples": 100, "batch_size": 30, "neighbours": 3, "conditional": True, "features": kind}
            found[kind] = Distribution(Stripes(), cache_dir=cache_dir, **settings).run(Trained(generate), 0)
    return {"split": split, "devices": mesh.size, "scores": found}


if __name__ == "__main__":
    path, fsdp, kinds, *others = sys.argv[1:]
    processes = Processes(others[0], int(others[1]), int(others[2])) if others else None
    with joined(processes), open(path, "w", encoding="utf-8") as file:
        json.dump(find_scores(int(fsdp), tuple(kinds.split(","))), file)

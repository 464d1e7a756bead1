"""The sampler, with a task whose images encode their inputs."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.errors import UserError
from jaxgan.fields import Field, label_field
from jaxgan.game import Product, Weights
from jaxgan.inference.sampling import Sampler
from jaxgan.losses.adversarial import non_saturating
from jaxgan.models import mlp
from jaxgan.tasks.adversary import Adversary
from jaxgan.tasks.generation import Generation

TRACED = []


@dataclasses.dataclass(frozen=True)
class Task:
    """An image is its latent, cut off."""

    num_classes: int = 0

    @property
    def product(self):
        asks = {"latent": Field((3,), kind="latent", law="normal"), "truncation": Field()}
        asks |= {"label": label_field(tuple(map(str, range(self.num_classes))))} if self.num_classes else {}
        return Product(asks, {"image": Field((1, 3, 1), kind="pixels")}, (), self.generate, optional=("truncation",))

    def generate(self, weights, asked, memory):
        TRACED.append(asked["latent"].shape)
        image, truncation = asked["latent"][:, None, :, None], asked.get("truncation")
        return {"image": image if truncation is None else jnp.clip(image, -truncation, truncation)}, memory


def test_truncation_reaches_the_task_and_costs_one_compile():
    sampler, latents = Sampler(Task().product, batch_size=4), np.random.default_rng(0).normal(size=(6, 3))
    TRACED.clear()
    for truncation in (0.5, 0.25, 0.0):
        images = sampler(Weights({}, {}), sampler.asked(latents, {}, truncation=truncation))
        np.testing.assert_allclose(images[:, 0, :, 0], np.clip(latents, -truncation, truncation), atol=1e-6)
    assert TRACED == [(4, 3)]
    images = sampler(Weights({}, {}), sampler.asked(latents, {}))
    np.testing.assert_allclose(images[:, 0, :, 0], latents, atol=1e-6)
    drawn = sampler.generate(Weights({}, {}), 5, 6, truncation=0.1)
    assert drawn.shape == (6, 1, 3, 1)
    assert np.abs(drawn).max() <= np.float32(0.1)


def test_a_task_without_styles_has_none():
    assert not Sampler(Task().product).has_styles


def test_samples_of_mixtures_of_classes():
    network = mlp.Generator(4, 1, num_classes=3, widths=(8,))
    adversary = Adversary(mlp.Discriminator(widths=(8,)), non_saturating)
    task = Generation(network, adversary, latent_dim=2, num_classes=3)
    batch = {"image": jnp.zeros((2, 4, 4, 1)), "label": jnp.zeros(2, jnp.int32)}
    weights = Weights(*task.init(jax.random.key(0), batch))
    sampler = Sampler(task.products["generator"], batch_size=2)
    by_label = sampler.generate(weights, 5, 3, [0, 1, 2])
    np.testing.assert_allclose(sampler.generate(weights, 5, 3, np.eye(3)), by_label, rtol=1e-5, atol=1e-6)
    mixed = sampler.generate(weights, 5, 3, np.full((3, 3), 1 / 3))
    assert mixed.shape == by_label.shape
    assert (np.abs(mixed - by_label) > 1e-4).any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, np.float64])
def test_shares_of_any_floats_are_taken(dtype):
    shares = np.array([[0.25, 0.75, 0.0], [0.0, 0.0, 1.0]])
    labels = Sampler(Task(3).product).labels(2, jnp.array(shares, dtype) if dtype != np.float64 else shares)
    np.testing.assert_array_equal(labels, shares)
    assert labels.dtype == np.float32


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.ones((4, 2)) / 2, r"got shape \(4, 2\) of float64, expected shares \(4, 3\)"),
        (np.ones((3, 3)) / 3, r"got shape \(3, 3\) of float64, expected shares \(4, 3\)"),
        (np.ones((4, 3)), "invalid shares, expected rows of 0 or more that sum to 1"),
        (np.array([[2.0, -1.0, 0.0]] * 4), "invalid shares, expected rows of 0 or more"),
        (np.full((4, 3), np.nan), "invalid shares"),
        (np.ones(4), r"of float64, expected 4 integers, or shares \(4, 3\) of the classes as floats"),
        (np.ones((4, 3), int), r"of int64, expected 4 integers, or shares \(4, 3\)"),
        ([0, 1, 2, 3], "got 0 to 3, expected 0 to 2"),
    ],
)
def test_labels_that_do_not_fit_are_one_line(labels, words):
    with pytest.raises(UserError, match=words):
        Sampler(Task(3).product).labels(4, labels)

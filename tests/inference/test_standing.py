"""Standing statistics: the statistics that normalise samples, against closed forms and batch by batch."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.checkpoints.on_disk import Average
from jaxgan.config.run import EvaluationConfig, SamplesConfig
from jaxgan.errors import UserError
from jaxgan.game import GENERATOR, Weights
from jaxgan.inference.model import Model
from jaxgan.inference.standing import PASS, Standing
from jaxgan.jobs import views
from jaxgan.losses import adversarial
from jaxgan.models import dcgan
from jaxgan.parallel.mesh import make_mesh
from jaxgan.tasks.adversary import Adversary
from jaxgan.tasks.generation import Generation

CLASSES = 3
IMAGES = {"image": jnp.zeros((2, 8, 8, 1)), "label": jnp.zeros(2, jnp.int32)}


def make_task(passes, norm="batch"):
    generator = dcgan.Generator(8, 1, num_classes=CLASSES, widths=(4,), norm=norm)
    discriminator = dcgan.Discriminator(8, num_classes=CLASSES, widths=(4,))
    settings = {"latent_dim": 5, "num_classes": CLASSES, "standing_passes": passes}
    return Generation(generator, Adversary(discriminator, adversarial.hinge), **settings)


def make_weights(task):
    """Weights whose kept statistics are far from what the norms see."""
    params, variables = task.init(jax.random.key(0), IMAGES)
    return params, {**variables, GENERATOR: jax.tree.map(lambda leaf: leaf + 7.0, variables[GENERATOR])}


def restored(task, seed=0):
    record = {"step": 1, "images_seen": 2, "config": {"format": 1, "config": {"seed": seed}}, "class_names": ()}
    return Model(task.products[GENERATOR], Average(*make_weights(task), record), batch_size=4)


def test_the_statistics_are_those_of_the_generators_own_noise():
    """Of the first norm, which sees a linear map of latent and embedding: its moments are known."""
    task = make_task(100)
    params, variables = make_weights(task)
    standing = Standing(task.products[GENERATOR])(Weights(params, variables)).variables[GENERATOR]["batch_stats"]
    assert jax.tree.structure(standing) == jax.tree.structure(variables[GENERATOR]["batch_stats"])
    kernel = np.asarray(params[GENERATOR]["stem"]["kernel"], np.float64).reshape(10, 16, 4)  # to 16 pixels, 4 channels
    table = np.asarray(params[GENERATOR]["label"]["table"]["embedding"], np.float64)
    by_class = np.einsum("cz,zpw->cpw", table, kernel[5:])
    mean = by_class.mean((0, 1))
    var = np.square(kernel[:5]).sum(0).mean(0) + np.square(by_class - mean).mean((0, 1))
    # of 6,400 images; the variance within batches of 64 is a little smaller than that of all
    np.testing.assert_allclose(standing["norm_0"]["mean"], mean, atol=4 * np.sqrt(var.max() / 6_400))
    np.testing.assert_allclose(standing["norm_0"]["var"], var, rtol=0.06)


def test_they_are_the_mean_over_the_passes_and_the_same_every_time():
    params, variables = make_weights(make_task(0))
    task, seen = make_task(2), []
    for number in range(2):
        latent_key, label_key = jax.random.split(jax.random.fold_in(jax.random.key(3), number))
        label = jax.random.randint(label_key, (PASS,), 0, CLASSES)
        seen.append(task.batch_statistics(params, variables, task.latents(latent_key, PASS), label))
    expected = jax.tree.map(lambda a, b: (a + b) / 2, *seen)
    for _ in range(2):
        got = Standing(task.products[GENERATOR], seed=3)(Weights(params, variables)).variables[GENERATOR]["batch_stats"]
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), got, expected)
    other = Standing(task.products[GENERATOR], seed=4)(Weights(params, variables)).variables[GENERATOR]["batch_stats"]
    assert (other["norm_0"]["mean"] != got["norm_0"]["mean"]).any()
    weights = Weights(params, variables)
    assert Standing(make_task(0).products[GENERATOR])(weights) is weights


def test_a_restored_generator_samples_with_them_and_the_kept_ones_do_not_matter():
    generator = restored(make_task(3))
    images = generator.generate(0, 4)
    task = make_task(3)
    params, variables = make_weights(task)
    standing = Standing(task.products[GENERATOR])(Weights(params, variables)).variables
    latents, labels = generator.latents(0, 4), jnp.arange(4) % CLASSES
    np.testing.assert_allclose(images, task.generate(params, standing, latents, labels), atol=1e-5)
    np.testing.assert_array_equal(
        generator.tensors()["batch_stats/norm_0/mean"], standing[GENERATOR]["batch_stats"]["norm_0"]["mean"]
    )
    assert np.abs(images - restored(make_task(0)).generate(0, 4)).max() > 0.1
    assert (restored(make_task(3), seed=1).generate(0, 4) != images).any()


def test_the_scores_and_pictures_of_a_run_are_of_samples_with_them(monkeypatch):
    task, drawn = make_task(3), {}
    params, variables = make_weights(task)
    state = types.SimpleNamespace(params={}, variables={}, ema_params=params, ema_variables=variables)
    config = types.SimpleNamespace(
        evaluation=EvaluationConfig(batch_size=4),
        evaluators={},
        samples=SamplesConfig(rows=1, columns=3),
        seed=0,
    )
    evaluator = types.SimpleNamespace(run=lambda model, seed: drawn.update(images=model.generate(seed, 4)) or {})
    monkeypatch.setattr(views, "make_held_out_gap", lambda config, allow: None)
    spec = types.SimpleNamespace(classes=("a", "b", "c"))
    view = views.GenerationView(config, spec, task, {"": evaluator}, make_mesh({"data": -1}))
    assert view.scores(state) == {}
    np.testing.assert_allclose(drawn["images"], restored(make_task(3)).generate(0, 4), atol=1e-5)


@pytest.mark.quick
def test_a_generator_without_batch_norm_has_none():
    with pytest.raises(UserError, match="standing_passes: got 2, expected 0 for a generator without batch norm"):
        make_task(2, norm="none").init(jax.random.key(0), IMAGES)
    with pytest.raises(UserError, match="standing_passes: got -1, expected 0 or more"):
        make_task(-1)


def test_standing_statistics_are_of_the_conditions_of_real_examples():
    generator = dcgan.Generator(8, 1, condition_dim=2, widths=(4,))
    discriminator = dcgan.Discriminator(8, condition_dim=2, widths=(4,))
    adversary = Adversary(discriminator, adversarial.hinge)
    task = Generation(generator, adversary, latent_dim=5, condition="mood", standing_passes=2)
    weights = Weights(*task.init(jax.random.key(0), {**IMAGES, "mood": jnp.zeros((2, 2))}))
    seeds = []

    def real(names, seed, count):
        seeds.append(seed)
        return dict.fromkeys(names, np.full((count, 2), seed[1] + 1, np.float32))

    got = Standing(task.products[GENERATOR], seed=3, conditions=real)(weights).variables[GENERATOR]["batch_stats"]
    assert set(seeds) == {(3, 0), (3, 1)}
    seen = []
    for number in range(2):
        latent_key, _ = jax.random.split(jax.random.fold_in(jax.random.key(3), number))
        mood = jnp.full((PASS, 2), number + 1.0)
        seen.append(task.batch_statistics(*weights, task.latents(latent_key, PASS), mood))
    expected = jax.tree.map(lambda a, b: (a + b) / 2, *seen)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), got, expected)

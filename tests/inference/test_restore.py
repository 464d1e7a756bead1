"""Restoring a generator, with a task whose images encode their inputs."""

import dataclasses
import json
import subprocess
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.checkpoints.checkpoint import Checkpoints
from jaxgan.checkpoints.on_disk import Shapes, restore_average
from jaxgan.errors import UserError
from jaxgan.fields import Field, label_field
from jaxgan.game import Product, State
from jaxgan.inference.model import load

TRACES = []  # one entry for each time that `generate` is traced, so compiled


@dataclasses.dataclass(frozen=True)
class Task:
    """`tanh(z w + m + 10 (label - 1))`: an image tells what it was drawn from."""

    num_classes: int = 3

    @property
    def products(self):
        label = {"label": label_field(tuple("abc"))} if self.num_classes else {}
        asks = {"latent": Field((3,), kind="latent", law="normal"), **label}
        images = {"image": Field((2, 2, 1), kind="pixels")}
        generator = Product(asks, images, ("generator",), self.generate)
        return {"generator": generator, "judge": Product(images, {"logits": Field(kind="logits")}, ("judge",), judge)}

    def generate(self, weights, asked, memory):
        TRACES.append(asked["latent"].shape)
        shift = weights.variables["generator"]["stats"]["mean"]
        out = asked["latent"] @ weights.params["generator"]["w"] + shift
        if self.num_classes:
            out = out + 10.0 * (asked["label"][:, None] - 1)
        return {"image": jnp.tanh(out).reshape(-1, 2, 2, 1)}, memory


def judge(weights, asked, memory):
    return {"logits": weights.params["judge"]["w"] * asked["image"].mean((1, 2, 3))}, memory


def make_state(step):
    number = jnp.int32(step)
    weights = {"generator": {"w": jnp.full((3, 4), 0.1 * (1 + step))}}
    variables = {"generator": {"stats": {"mean": jnp.full(4, 0.01 * step)}}}
    live = jax.tree.map(lambda x: x + 100, weights)
    return State(
        step=number,
        images_seen=number,
        rollbacks=number,
        skipped=number,
        skipped_in_a_row=number,
        averaged_at={"generator": number},
        params={**live, "judge": {"w": jnp.float32(step)}},
        variables={**variables, "judge": {}},
        opt_state={"judge": jnp.zeros(5)},
        ema_params=weights,
        ema_variables=variables,
        carry={},
    )


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A work directory with the checkpoints 0, 2 (the best) and 4, and stand-ins for reading its config."""
    made = {}

    def from_json(text):
        made.update(json.loads(text))
        return types.SimpleNamespace(checkpoint=types.SimpleNamespace(best="frechet", best_mode="min"))

    monkeypatch.setattr("jaxgan.config.run.from_json", from_json)
    monkeypatch.setattr("jaxgan.building.builder.check_sections", lambda config, allow=(): None)
    monkeypatch.setattr("jaxgan.building.assemble.shapes_of", lambda task, config, product: [])
    monkeypatch.setattr(
        "jaxgan.building.assemble.make_task", lambda config, allow=(): Task(num_classes=made["num_classes"])
    )
    (tmp_path / "config.json").write_text(json.dumps({"num_classes": 3}))
    with Checkpoints(tmp_path / "checkpoints", config={"seed": 5}, class_names=["a", "b", "c"]) as checkpoints:
        for step, distance in ((0, 9.0), (2, 1.0), (4, 3.0)):
            checkpoints.save(make_state(step), step=step, images=64 * step, metrics={"frechet/f": distance})
    return tmp_path


def expected(step, latents, labels):
    latents, labels = np.asarray(latents, np.float64), np.asarray(labels)
    out = latents @ np.full((3, 4), 0.1 * (1 + step)) + 0.01 * step + 10 * (labels[:, None] - 1)
    return np.tanh(out).reshape(-1, 2, 2, 1)


def test_images_come_from_the_averaged_weights_with_classes_in_turn(run):
    generator = load(run)
    images = generator.generate(7, 5)
    assert images.shape == (5, 2, 2, 1)
    assert images.dtype == np.float32
    np.testing.assert_allclose(images, expected(4, generator.latents(7, 5), [0, 1, 2, 0, 1]), atol=1e-5)
    np.testing.assert_array_equal(images, generator.generate(jax.random.key(7), 5, [0, 1, 2, 0, 1]))
    np.testing.assert_array_equal(images, generator.generate(np.int64(7), 5))


def test_the_record_is_restored(run):
    generator = load(run)
    assert (generator.step, generator.images_seen, generator.num_classes) == (4, 256, 3)
    assert generator.class_names == ("a", "b", "c")
    assert generator.config == {"seed": 5}


def test_the_step_can_be_chosen(run):
    assert load(run, step=0).step == 0
    best = load(run, step="best")
    assert best.step == 2
    images = best.generate(1, 3, np.array([2, 2, 0]))
    np.testing.assert_allclose(images, expected(2, best.latents(1, 3), [2, 2, 0]), atol=1e-5)
    with pytest.raises(UserError, match="got 3, expected one of 'latest', 'best', 0, 2, 4"):
        load(run, step=3)
    with pytest.raises(UserError, match="got 'newest', expected one of"):
        load(run, step="newest")


def test_any_number_of_images_is_one_compile_and_equal_to_one_batch(run):
    together, parts = load(run, batch_size=16), load(run, batch_size=4)
    TRACES.clear()
    for count in (1, 4, 5, 11):
        labels = np.arange(count)[::-1] % 3
        latents = parts.latents(count, count)
        whole = together.synthesize(latents, labels)
        np.testing.assert_allclose(parts.synthesize(latents, labels), whole, atol=1e-6)
    assert TRACES == [(16, 3), (4, 3)]


def test_a_network_without_an_average_is_used_as_it_played(run):
    images = np.random.default_rng(0).normal(size=(3, 2, 2, 1)).astype(np.float32)
    for step in (2, 4):
        logits = load(run, "judge", step=step)(image=images)["logits"]
        np.testing.assert_allclose(logits, step * images.mean((1, 2, 3)), rtol=1e-5)
    for path in (run / "checkpoints" / "4" / "state").rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
    assert load(run, "judge").step == 2
    assert load(run).step == 4  # its average is whole


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        ([0, 1], "expected 3 integers"),
        ([0, 1, 3], "expected 0 to 2"),
        ([-1, 0, 1], "expected 0 to 2"),
        ([0.0, 1.0, 2.0], "expected 3 integers"),
        (1, "expected 3 integers"),
    ],
)
def test_wrong_labels_are_a_clear_mistake(run, labels, why):
    with pytest.raises(UserError, match=why):
        load(run).generate(0, 3, labels)


def test_other_mistakes_are_clear(run, tmp_path):
    generator = load(run)
    with pytest.raises(UserError, match="n: got 0"):
        generator.generate(0, 0)
    with pytest.raises(UserError, match=r"latents: got shape \(2, 5\), expected \(n, 3\)"):
        generator.synthesize(np.zeros((2, 5)))
    with pytest.raises(UserError, match="expected the directory of a run"):
        load(tmp_path / "nowhere")


def test_a_generator_without_classes_takes_no_labels(run):
    (run / "config.json").write_text(json.dumps({"num_classes": 0}))
    generator = load(run)
    assert generator.num_classes == 0
    assert generator.generate(0, 2).shape == (2, 2, 2, 1)
    with pytest.raises(UserError, match="without labels"):
        generator.generate(0, 2, [0, 1])


def test_only_the_newest_whole_checkpoint_is_used(run, caplog):
    for path in (run / "checkpoints" / "4" / "ema").rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
    assert load(run).step == 2
    assert "checkpoints/4 is refused" in caplog.text


@pytest.mark.slow
def test_loading_needs_no_training_code():
    wanted = "jaxgan.training.step", "jaxgan.training.loop", "jaxgan.training.optimizers"
    code = f"import sys, jaxgan.inference.model, jaxgan.building.assemble; assert not set({wanted}) & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_averaged_weights_that_are_not_finite_are_refused(run, caplog):
    state = make_state(6)
    spoiled = {"generator": {"w": state.ema_params["generator"]["w"].at[1, 2].set(jnp.nan)}}
    with Checkpoints(run / "checkpoints", config={"seed": 5}, class_names=["a", "b", "c"]) as checkpoints:
        checkpoints.save(state.replace(ema_params=spoiled), step=6, images=384, metrics={"frechet/f": 4.0})
    with pytest.raises(UserError, match=r"step 6 is refused: .*w has 1 of 12 numbers that are not finite"):
        load(run, step=6)
    assert load(run).step == 4
    assert "params/generator/w has 1 of 12 numbers that are not finite" in caplog.text


def test_names_with_a_slash_stay_as_the_network_has_them(tmp_path):
    """Such as those of spectral norm: with them no run of BigGAN could be sampled."""
    state = make_state(1)
    variables = {"generator": {"spectral": {"stem_norm": {"stem/kernel/u": jnp.ones((1, 4)), "bias": jnp.ones(3)}}}}
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(state.replace(variables=variables, ema_variables=variables), step=1, images=1)
    like = jax.eval_shape(lambda: (state.ema_params, variables))
    restored = restore_average(tmp_path, like=[Shapes(*like)])
    assert jax.tree.structure(restored.variables) == jax.tree.structure(variables)

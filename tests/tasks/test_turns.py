"""What a turn can have beside its loss: regularizers, augmentation, packing, top-k, balance, a classifier."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.errors import UserError
from jaxgan.game import Judgement
from jaxgan.losses import adversarial
from jaxgan.models import dcgan, multiscale
from jaxgan.regularizers.gradient_penalty import r1
from jaxgan.tasks.generation import Generation, truncated
from jaxgan.tasks.penalty import Penalty
from jaxgan.training.optimizers import make_optimizer
from jaxgan.training.state import init_state
from jaxgan.training.step import make_train_step

BATCH, KEY = 4, jax.random.key(2)


def make_task(channels=1, **kwargs):
    generator = dcgan.Generator(8, channels, widths=(4,), norm="none")
    discriminator = dcgan.Discriminator(8, widths=(4,), norm="none")
    return Generation(generator, discriminator, adversarial.non_saturating, latent_dim=3, **kwargs)


def make_batch():
    return {"image": jax.random.uniform(jax.random.key(5), (BATCH, 8, 8, 1), minval=-1.0)}


def make_state(task):
    optimizers = dict.fromkeys(task.players, make_optimizer({"name": "sgd", "learning_rate": 0.1}))
    return jax.jit(lambda: init_state(task, optimizers, jax.random.key(0), make_batch()))(), optimizers


def losses(task, state=None):
    """The discriminator's and the generator's loss and what they report, at one state."""
    state = make_state(task)[0] if state is None else state
    batch = {**make_batch(), "fakes": task.draw(state, make_batch(), jax.random.key(1))[0]}
    return [phase.loss(state, batch, KEY) for phase in task.phases()]


def step_of(task, optimizers):
    return jax.jit(make_train_step(task, optimizers), static_argnums=3)


@dataclasses.dataclass(frozen=True)
class Darken:
    """An augmentation: every pixel times a number."""

    factor: float

    def __call__(self, key, images, probability):
        return self.factor * images

    def init_memory(self):
        return {}

    def probability(self, memory, images_seen):
        return 1.0


def test_penalties_are_taken_at_images_before_augmentation():
    linear = Penalty("r1", r1)

    class Linear:
        def init(self, key, image, label, *, train):
            return {"params": {"w": jnp.full((64,), 0.5)}}

        def apply(self, tree, image, label, *, train, mutable=()):
            return Judgement(logits=image.reshape(len(image), -1) @ tree["params"]["w"]), {}

    plain = dataclasses.replace(make_task(penalties=(linear,)), discriminator=Linear())
    whole = losses(plain)[0][1].metrics["r1"]
    same = losses(dataclasses.replace(plain, augment=Darken(1.0)))[0][1].metrics["r1"]
    darker = losses(dataclasses.replace(plain, augment=Darken(0.5)))[0][1].metrics["r1"]
    np.testing.assert_allclose(whole, 0.5 * 64 * 0.5**2, rtol=1e-6)  # gamma / 2 |w|^2
    np.testing.assert_allclose(same, whole)
    np.testing.assert_allclose(darker, whole / 4, rtol=1e-6)


def test_regularizers_get_what_they_ask_for_and_keep_their_memory():
    def mean_logit(real_logits, images_seen, *, weight, memory={"mean": 2.0, "turns": 0.0}):  # noqa: B006
        moved = {"mean": 0.5 * memory["mean"] + 0.5 * real_logits.mean(), "turns": memory["turns"] + 1}
        return weight * (real_logits - memory["mean"]) ** 2, moved

    def far(generate, latent, fake, params, key):
        return -jnp.abs(generate(latent) - fake).mean() + jnp.abs(generate(latent + 1) - fake).mean()

    task = make_task(
        penalties=(Penalty("mean_logit", mean_logit, {"weight": 0.1}),),
        generator_penalties=(Penalty("far", far, every=4),),
    )
    names = [(phase.name, phase.player, phase.every, phase.fakes) for phase in task.phases()]
    assert names[2:] == [("generator_far", "generator", 4, True)]
    state, optimizers = make_state(task)
    assert state.carry["discriminator_mean_logit"] == {"mean": 2.0, "turns": 0.0}
    step = step_of(task, optimizers)
    once, metrics = step(state, make_batch(), KEY, (0, 1, 2))
    twice, _ = step(once, make_batch(), KEY, (0, 1))
    assert twice.carry["discriminator_mean_logit"]["turns"] == 2
    expected = 1.0 + 0.5 * metrics["discriminator/real_logits"]
    np.testing.assert_allclose(once.carry["discriminator_mean_logit"]["mean"], expected, rtol=1e-5)
    assert metrics["generator_far/far"] > 0  # other latents, other images; the same ones, the same


def test_other_latents_are_seen_under_the_noise_of_the_fakes():
    def distances(generate, latent, fake):
        return jnp.abs(generate(latent) - fake).mean() + 1e3 * (jnp.abs(generate(-latent) - fake).mean() == 0)

    class Noisy:
        def init(self, key, latent, label, *, train):
            return {"params": {"w": jnp.ones(())}}

        def apply(self, tree, latent, label, *, train, mutable=(), rngs=None):
            image = tree["params"]["w"] * latent.mean(1)[:, None, None, None] * jnp.ones((1, 8, 8, 1))
            if rngs is None:
                return image
            return image + jax.random.normal(rngs["noise"], image.shape), {}

    penalty = Penalty("distances", distances)
    task = dataclasses.replace(make_task(generator_penalties=(penalty,)), generator=Noisy())
    assert float(losses(task)[1][1].metrics["distances"]) == 0.0
    state, optimizers = make_state(task)
    _, metrics = step_of(task, optimizers)(state, make_batch(), KEY, (0, 1))
    assert float(metrics["generator/distances"]) == 0.0


def test_packed_images_are_judged_together():
    task = make_task(pack=2)
    state, optimizers = make_state(task)
    assert state.params["discriminator"]["down_0"]["kernel"].shape == (4, 4, 2, 4)
    batch = make_batch()["image"]
    alone = task.judge(state.params, state.variables, batch, None)
    swapped = task.judge(state.params, state.variables, batch[jnp.array([2, 3, 0, 1])], None)
    assert alone.shape == (BATCH // 2,)
    np.testing.assert_allclose(alone, swapped[::-1], rtol=1e-5)
    _, metrics = step_of(task, optimizers)(state, make_batch(), KEY, (0, 1))
    assert np.isfinite(metrics["generator/loss"])
    with pytest.raises(UserError, match=r"config\.task\.pack: images of different labels"):
        make_task(pack=2, num_classes=3)


def test_the_generator_learns_from_the_best_judged():
    task = make_task()
    state, _ = make_state(task)
    fakes = task.draw(state, make_batch(), jax.random.key(1))[0].image
    logits = np.sort(task.judge(state.params, state.variables, fakes, None))[::-1]
    for share in (1.0, 0.5, 0.25):
        best = logits[: int(BATCH * share)]
        loss = losses(dataclasses.replace(task, top_k=share), state)[1][0]
        np.testing.assert_allclose(loss, np.log1p(np.exp(-best)).mean(), rtol=1e-5)


def test_a_discriminator_that_wins_sits_out_and_comes_back():
    task = make_task(max_accuracy=0.6, penalties=(Penalty("r1", r1, every=2),))
    state, optimizers = make_state(task)
    step = step_of(task, optimizers)
    assert [phase.name for phase in task.phases()] == ["discriminator", "discriminator_r1", "generator"]

    def moves(accuracy):
        before = state.replace(carry={"accuracy": jnp.float32(accuracy)})
        after, metrics = step(before, make_batch(), KEY, (0, 1, 2))  # its lazy penalty is due, too
        changed = jax.tree.map(lambda a, b: bool((a != b).any()), after.params, state.params)
        expected = 0.99 * accuracy + 0.01 * metrics["discriminator/accuracy"]
        np.testing.assert_allclose(after.carry["accuracy"], expected, rtol=1e-5)
        return any(jax.tree.leaves(changed["discriminator"])), any(jax.tree.leaves(changed["generator"]))

    assert moves(0.5) == (True, True)
    assert moves(0.9) == (False, True)


@pytest.mark.parametrize("scales", [False, True])
def test_finite_differences_of_a_discriminator_in_low_precision_are_refused(scales):
    def game(dtype, **arguments):
        discriminator = dcgan.Discriminator(8, widths=(4,), norm="none", dtype=dtype)
        if scales:
            discriminator = multiscale.Discriminator(8, discriminator)
        penalties = (Penalty("r1", r1, arguments),)
        return Generation(None, discriminator, adversarial.non_saturating, penalties=penalties)

    with pytest.raises(UserError, match="r1 by finite differences of a discriminator in bfloat16; accepted are"):
        game(jnp.bfloat16, method="finite_difference")
    assert game(jnp.bfloat16, method="exact").penalties
    assert game(jnp.float32, method="finite_difference").penalties


def test_the_auxiliary_classifier_joins_both_losses():
    class Guesses:
        def init(self, key, image, label, *, train):
            return {"params": {"w": jnp.zeros(3)}}

        def apply(self, tree, image, label, *, train, mutable=()):
            logits = jnp.zeros(len(image)) + tree["params"]["w"].sum()
            return Judgement(logits=logits, class_logits=jnp.zeros((len(image), 3)) + tree["params"]["w"]), {}

    task = make_task(num_classes=3, class_weight=2.0)
    task = dataclasses.replace(task, discriminator=Guesses(), generator=dcgan.Generator(8, 1, 3, widths=(4,)))
    batch = {**make_batch(), "label": jnp.array([0, 1, 2, 0])}
    optimizers = dict.fromkeys(task.players, make_optimizer({"name": "sgd", "learning_rate": 0.1}))
    state = jax.jit(lambda: init_state(task, optimizers, jax.random.key(0), batch))()
    batch["fakes"] = task.draw(state, batch, KEY)[0]
    (critic_loss, critic), (generator_loss, generator) = (phase.loss(state, batch, KEY) for phase in task.phases())
    np.testing.assert_allclose(critic.metrics["class_loss"], 2 * np.log(3), rtol=1e-6)
    np.testing.assert_allclose(critic_loss, 2 * np.log(2) + 2 * 2 * np.log(3), rtol=1e-6)
    np.testing.assert_allclose(generator.metrics["class_loss"], np.log(3), rtol=1e-6)
    np.testing.assert_allclose(generator_loss, np.log(2) + 2 * np.log(3), rtol=1e-6)


def test_truncated_latents_keep_their_order_within_the_threshold():
    latent = jnp.linspace(-4.0, 4.0, 101)
    cut = np.asarray(truncated(latent, 0.5))
    assert np.abs(cut).max() <= 0.5 + 1e-5
    assert (np.diff(cut) > 0).all()
    # its distribution is that of scipy's truncated normal
    from scipy.stats import norm, truncnorm

    quantiles = np.array([0.05, 0.3, 0.5, 0.9])
    np.testing.assert_allclose(
        truncated(jnp.asarray(norm.ppf(quantiles)), 0.5), truncnorm(-0.5, 0.5).ppf(quantiles), atol=1e-5
    )

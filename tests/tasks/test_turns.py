"""The options of a turn beside its loss: regularizers, augmentation, packing, top-k, balance, a classifier."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from making import changed, make

from jaxgan.errors import UserError
from jaxgan.game import AdversarialLoss, Judgement
from jaxgan.losses import adversarial
from jaxgan.models import dcgan, multiscale
from jaxgan.regularizers import consistency
from jaxgan.regularizers.drift import drift
from jaxgan.regularizers.gradient_penalty import dragan, r1, r2, wgan_gp
from jaxgan.regularizers.lecam import lecam
from jaxgan.tasks.adversary import Adversary
from jaxgan.tasks.generation import Generation, truncated
from jaxgan.tasks.penalty import Penalty
from jaxgan.tasks.sight import sight
from jaxgan.training.optimizers import make_optimizer
from jaxgan.training.state import init_state
from jaxgan.training.step import make_train_step

BATCH, KEY = 4, jax.random.key(2)


def make_task(channels=1, **kwargs):
    generator = dcgan.Generator(8, channels, widths=(4,), norm="none")
    discriminator = dcgan.Discriminator(8, widths=(4,), norm="none")
    settings = {"discriminator": discriminator, "loss": adversarial.non_saturating, "latent_dim": 3, **kwargs}
    return make(Generation, generator, **settings)


def make_batch():
    return {"image": jax.random.uniform(jax.random.key(5), (BATCH, 8, 8, 1), minval=-1.0)}


def make_state(task):
    optimizers = dict.fromkeys(task.players, make_optimizer({"name": "sgd", "learning_rate": 0.1}))
    return jax.jit(lambda: init_state(task, optimizers, jax.random.key(0), make_batch()))(), optimizers


def losses(task, state=None):
    """The losses and metrics of the discriminator and the generator at one state."""
    state = make_state(task)[0] if state is None else state
    batch = {**make_batch(), "fakes": task.draw(task.phases()[0], state, make_batch(), jax.random.key(1))[0]}
    return [phase.loss(state, batch, KEY) for phase in task.phases()]


def step_of(task, optimizers):
    return jax.jit(make_train_step(task, optimizers, images=BATCH), static_argnums=3)


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


def test_penalties_act_on_images_before_augmentation():
    linear = Penalty("r1", r1)

    class Linear:
        def init(self, key, image, label, *, train):
            return {"params": {"w": jnp.full((64,), 0.5)}}

        def apply(self, tree, image, label, *, train, mutable=()):
            return Judgement(logits=image.reshape(len(image), -1) @ tree["params"]["w"]), {}

    plain = changed(make_task(penalties=(linear,)), discriminator=Linear())
    whole = losses(plain)[0][1].metrics["r1"]
    same = losses(changed(plain, augment=Darken(1.0)))[0][1].metrics["r1"]
    darker = losses(changed(plain, augment=Darken(0.5)))[0][1].metrics["r1"]
    np.testing.assert_allclose(whole, 0.5 * 64 * 0.5**2, rtol=1e-6)  # gamma / 2 |w|^2
    np.testing.assert_allclose(same, whole)
    np.testing.assert_allclose(darker, whole / 4, rtol=1e-6)


@dataclasses.dataclass(frozen=True)
class Dim:
    """An augmentation: every image times its own random number between 0 and 1."""

    def __call__(self, key, images, probability):
        return jax.random.uniform(key, (len(images), 1, 1, 1)) * images

    def init_memory(self):
        return {}

    def probability(self, memory, images_seen):
        return 1.0


class Bright:
    """A discriminator: half the sum of an image's pixels."""

    def init(self, key, image, label, *, train):
        return {"params": {"w": jnp.float32(0.5)}}

    def apply(self, tree, image, label, *, train, mutable=()):
        return Judgement(logits=tree["params"]["w"] * image.sum((1, 2, 3))), {}


def test_reals_and_fakes_are_augmented_independently():
    apart = lambda real, fake: jnp.abs(real - fake)  # noqa: E731
    loss = AdversarialLoss(apart, apart)
    task = changed(make_task(augment=Dim()), discriminator=Bright(), loss=loss)
    state, _ = make_state(task)
    same = {"image": jnp.ones((1000, 8, 8, 1))}
    fakes = task.draw(task.phases()[0], state, same, KEY)[0]
    same["fakes"] = fakes._replace(image=same["image"])
    for phase in task.phases():  # logits of 32 times a uniform number: two of them are 1/3 apart on average
        loss, _ = phase.loss(state, same, KEY)
        np.testing.assert_allclose(loss, 32 / 3, rtol=0.1)


def test_instance_noise_is_drawn_for_every_image_and_follows_its_schedule():
    apart = lambda real, fake: jnp.square(real - fake) / 2  # noqa: E731
    schedule = {"name": "linear", "start": 0.5, "stop": 0.0, "images": 100}
    plain = changed(make_task(), discriminator=Bright(), loss=AdversarialLoss(apart, apart))
    noisy = changed(plain, instance_noise=schedule)
    state, _ = make_state(plain)
    batch = {"image": jnp.ones((4000, 8, 8, 1))}
    batch["fakes"] = plain.draw(plain.phases()[0], state, batch, KEY)[0]._replace(image=batch["image"])
    for seen, deviation in ((0, 0.5), (50, 0.25), (100, 0.0)):
        for phase in noisy.phases():  # of a logit that is half a sum of 64 pixels the variance is 64 / 4 times theirs
            loss, _ = phase.loss(state.replace(images_seen=jnp.int32(seen)), batch, KEY)
            np.testing.assert_allclose(loss, 16 * deviation**2, rtol=0.15)
    constant = changed(noisy, instance_noise=0.25)
    np.testing.assert_allclose(constant.phases()[0].loss(state, batch, KEY)[0], 1.0, rtol=0.15)


def test_all_scales_of_an_image_get_noise_and_penalties_see_it():
    seen = sight(KEY, jnp.int32(0), instance_noise=0.5)
    scales = (jnp.zeros((500, 8, 8, 1)), jnp.zeros((500, 4, 4, 1)))
    for see in (seen.reals, seen.fakes):
        np.testing.assert_allclose([scale.std() for scale in see(scales)], 0.5, rtol=0.05)
        np.testing.assert_array_equal(see(scales)[0], see(scales)[0])
    task = make_task(instance_noise=0.5, penalties=(Penalty("r1", r1, {"method": "finite_difference"}),))
    plain = changed(task, instance_noise=0.0)
    found = [losses(changed(each, discriminator=Bright()))[0][1].metrics["r1"] for each in (task, plain)]
    np.testing.assert_allclose(*found, rtol=1e-2)  # a linear critic: the same noise before and after the step


def test_smoothed_labels_penalise_confident_logits():
    task = changed(make_task(), discriminator=Bright())
    smooth = changed(task, label_smoothing=0.1)
    (hard, aux), (generator, _) = losses(task)
    (soft, _), (same, _) = losses(smooth)
    # softplus(r) - softplus(-r) = r
    np.testing.assert_allclose(soft - hard, 0.1 * aux.metrics["real_logits"], rtol=1e-4, atol=1e-6)
    assert generator == same


@pytest.mark.parametrize(("name", "every"), [("r1", 1), ("r2", 1), ("r2", 16)])
def test_finite_differences_use_the_augmentation_of_their_logits(name, every):
    function = {"r1": r1, "r2": r2}[name]
    penalty = Penalty(name, function, {"method": "finite_difference"}, every=every)
    task = changed(make_task(augment=Dim(), penalties=(penalty,)), discriminator=Bright())
    state, _ = make_state(task)
    batch = {"image": jnp.ones((4000, 8, 8, 1))}
    batch["fakes"] = task.draw(task.phases()[0], state, batch, KEY)[0]._replace(image=batch["image"])
    found = next(a.metrics[name] for _, a in (p.loss(state, batch, KEY) for p in task.phases()) if name in a.metrics)
    np.testing.assert_allclose(found, 0.5 * 64 * 0.5**2 / 3, rtol=0.15)  # the mean square of a uniform number is 1/3


class LinearOfPacks:
    """A discriminator of two images of 8 pixels along a side: half the sum of their pixels."""

    def init(self, key, image, label, *, train):
        return {"params": {"w": jnp.full((2 * 64,), 0.5)}}

    def apply(self, tree, image, label, *, train, mutable=()):
        return Judgement(logits=image.reshape(len(image), -1) @ tree["params"]["w"]), {}


@pytest.mark.parametrize("every", [1, 16])
def test_penalties_of_packed_images_are_those_of_the_pack(every):
    penalties = (Penalty("r1", r1, every=every), Penalty("wgan_gp", wgan_gp, every=every))
    task = changed(make_task(pack=2, penalties=penalties), discriminator=LinearOfPacks())
    found = {name: value for _, aux in losses(task) for name, value in aux.metrics.items()}
    square = 2 * 64 * 0.5**2
    np.testing.assert_allclose(found["r1"], 0.5 * square, rtol=1e-6)
    np.testing.assert_allclose(found["wgan_gp"], 10 * (square**0.5 - 1) ** 2, rtol=1e-5)


def test_a_penalty_of_single_images_is_refused_with_packing():
    def of_images(critic, real):
        gradient = jax.grad(lambda image: critic(image).sum())(real)
        return jnp.square(gradient).sum((1, 2, 3))

    def beside_latents(critic, real, latent):
        return jnp.square(critic(real) - latent.mean(1))

    for function, words in ((of_images, r"of shape \(4,\)"), (beside_latents, "incompatible shapes")):
        penalties = (Penalty("mine", function, every=4),)
        make_state(make_task(penalties=penalties))
        message = (
            rf"^config\.task\.adversary\.penalties: mine does not support packing: .*{words}.*, expected .* 2 packs, "
        )
        with pytest.raises(UserError, match=message) as mistake:
            make_state(make_task(pack=2, penalties=penalties))
        assert "\n" not in str(mistake.value)


@pytest.mark.parametrize(
    "function", [*(getattr(consistency, name) for name in ("cr", "bcr", "zcr")), dragan, r2, drift, lecam]
)
def test_every_penalty_of_the_discriminator_supports_packing(function):
    task = make_task(pack=2, penalties=(Penalty("mine", function),))
    assert np.isfinite(losses(task)[0][1].metrics["mine"])


def test_regularizers_get_what_they_request_and_keep_their_memory():
    def mean_logit(real_logits, images_seen, *, weight, memory={"mean": 2.0, "turns": 0.0}):  # noqa: B006
        moved = {"mean": 0.5 * memory["mean"] + 0.5 * real_logits.mean(), "turns": memory["turns"] + 1}
        return weight * (real_logits - memory["mean"]) ** 2, moved

    def far(generate, latent, fake, params, key):
        return -jnp.abs(generate(latent) - fake).mean() + jnp.abs(generate(latent + 1) - fake).mean()

    task = make_task(
        penalties=(Penalty("mean_logit", mean_logit, {"weight": 0.1}),),
        generator_penalties=(Penalty("far", far, every=4),),
    )
    names = [(phase.name, phase.player, phase.every, phase.drawn_by) for phase in task.phases()]
    assert names[2:] == [("generator_far", "generator", 4, "generator")]
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
    task = changed(make_task(generator_penalties=(penalty,)), generator=Noisy())
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
    with pytest.raises(UserError, match=r"config\.task\.adversary\.pack: images of different labels"):
        make_task(pack=2, num_classes=3)


def test_the_generator_learns_from_the_best_judged():
    task = make_task()
    state, _ = make_state(task)
    fakes = task.draw(task.phases()[0], state, make_batch(), jax.random.key(1))[0].image
    logits = np.sort(task.judge(state.params, state.variables, fakes, None))[::-1]
    for share in (1.0, 0.5, 0.25):
        best = logits[: int(BATCH * share)]
        loss = losses(changed(task, top_k=share), state)[1][0]
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
        return Adversary(discriminator, adversarial.non_saturating, penalties=penalties)

    with pytest.raises(UserError, match="r1 by finite differences of a discriminator in bfloat16; expected"):
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
    task = changed(task, discriminator=Guesses(), generator=dcgan.Generator(8, 1, 3, widths=(4,)))
    batch = {**make_batch(), "label": jnp.array([0, 1, 2, 0])}
    optimizers = dict.fromkeys(task.players, make_optimizer({"name": "sgd", "learning_rate": 0.1}))
    state = jax.jit(lambda: init_state(task, optimizers, jax.random.key(0), batch))()
    batch["fakes"] = task.draw(task.phases()[0], state, batch, KEY)[0]
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

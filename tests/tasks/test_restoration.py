"""Restoration: two stages in one run, masks, conditions, content losses; with networks of one layer."""

import dataclasses
import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from making import make

from jaxgan.augment.ada import ADA
from jaxgan.augment.diffaugment import DiffAugment
from jaxgan.augment.sharpening import sharpened
from jaxgan.building.initial import with_frozen
from jaxgan.errors import UserError
from jaxgan.game import Judgement
from jaxgan.losses import adversarial
from jaxgan.losses.perceptual import perceptual
from jaxgan.regularizers.consistency import zcr, zcr_generator
from jaxgan.regularizers.gradient_penalty import r1
from jaxgan.regularizers.orthogonal import orthogonal
from jaxgan.tasks.penalty import Penalty
from jaxgan.tasks.restoration import Backbone as Published
from jaxgan.tasks.restoration import Content, Restoration
from jaxgan.training.optimizers import make_optimizer
from jaxgan.training.state import init_state
from jaxgan.training.step import due_phases, make_train_step

BATCH = 2


class Generator(nn.Module):
    """One convolution, and pixels as blocks of `scale`."""

    scale: int = 1

    @nn.compact
    def __call__(self, condition, label=None, *, train):
        image = nn.Conv(3, (3, 3), name="conv")(condition)
        return image.repeat(self.scale, axis=1).repeat(self.scale, axis=2)


class Discriminator(nn.Module):
    """One convolution, one logit per pixel."""

    @nn.compact
    def __call__(self, image, label=None, *, train):
        features = nn.Conv(4, (3, 3), name="conv")(image)
        return Judgement(logits=nn.Conv(1, (1, 1), name="logits")(features)[..., 0], features=(features,))


@dataclasses.dataclass(frozen=True)
class Halved:
    """Every second pixel."""

    scale = 2
    masks = False
    label = "halved"

    def __call__(self, key, image):
        del key
        return image[:, ::2, ::2]


@dataclasses.dataclass(frozen=True)
class LeftHidden:
    """A mask over the left half."""

    scale = 1
    masks = True
    label = "left"

    def __call__(self, key, image):
        del key
        mask = jnp.zeros_like(image[..., :1]).at[:, :, : image.shape[2] // 2].set(1.0)
        return jnp.concatenate([image * (1 - mask), mask], axis=-1)


def l1(restored, target):
    return jnp.abs(restored - target).mean(axis=(1, 2, 3))


def matching(real_features, fake_features):
    return sum(jnp.abs(r - f).mean(axis=(1, 2, 3)) for r, f in zip(real_features, fake_features))


CONTENT = (Content("l1", l1, 2.0),)


def make_task(**changes):
    settings = {
        "discriminator": Discriminator(),
        "degradation": Halved(),
        "content": CONTENT,
        "loss": adversarial.relativistic,
        "adversarial_weight": 0.1,
        "adversarial_start": 2 * BATCH,
        **changes,
    }
    return make(Restoration, Generator(getattr(settings["degradation"], "scale", 1)), **settings)


def make_batch(**fields):
    image = jax.random.uniform(jax.random.key(5), (BATCH, 8, 8, 3), minval=-1.0)
    return {"image": image, "condition": -image, **fields}


def start(task, **fields):
    optimizers = dict.fromkeys(task.players, make_optimizer({"name": "adam", "learning_rate": 0.01}))
    return jax.jit(lambda: init_state(task, optimizers, jax.random.key(0), make_batch(**fields)))(), optimizers


def play(task, rounds, **fields):
    state, optimizers = start(task, **fields)
    step = jax.jit(make_train_step(task, optimizers, images=BATCH), static_argnums=3)
    states, batch, reports = [state], make_batch(**fields), []
    for number in range(rounds):
        due = due_phases(task.phases(), number, number * BATCH)
        state, metrics = step(state, batch, jax.random.key(1), due)
        states.append(state)
        reports.append(metrics)
    return states, reports


def equal(first, second):
    return all(bool((a == b).all()) for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True))


def test_the_first_stage_moves_the_generator_alone_and_the_second_both():
    states, reports = play(make_task(), 3)
    assert [{name.partition("/")[0] for name in report if "/" in name} for report in reports] == [
        {"content"},
        {"content"},
        {"discriminator", "generator"},
    ]
    discriminators = [state.params["discriminator"] for state in states]
    assert equal(discriminators[0], discriminators[2])
    assert not equal(discriminators[2], discriminators[3])
    assert not any(equal(a.params["generator"], b.params["generator"]) for a, b in itertools.pairwise(states))


def test_the_second_stage_begins_with_fresh_moments():
    states, _ = play(make_task(), 3)
    counts = [int(state.opt_state["generator"][0].count) for state in states]
    assert counts == [0, 1, 2, 1]


def test_without_a_second_stage_there_is_no_discriminator():
    task = make_task(adversarial_start=None, loss=None)
    states, _ = play(task, 2)
    assert set(states[-1].params) == {"generator"}
    assert due_phases(task.phases(), 0, 10**9) == (0,)


def test_the_content_loss_is_weighted_and_reported_without_its_weight():
    task = make_task()
    state, _ = start(task)
    fakes, _ = task.draw(task.phases()[0], state, make_batch(), jax.random.key(2))
    loss, aux = task.phases()[0].loss(state, {**make_batch(), "fakes": fakes}, jax.random.key(3))
    expected = float(jnp.abs(fakes.image - make_batch()["image"]).mean())
    np.testing.assert_allclose(aux.metrics["l1"], expected, rtol=1e-6)
    np.testing.assert_allclose(loss, 2 * expected, rtol=1e-6)


def test_content_is_compared_with_sharpened_images_and_the_discriminator_sees_them_as_they_are():
    """As Real-ESRGAN's options have it: l1_gt_usm and percep_gt_usm are true, gan_gt_usm is not."""
    perceived = Content("perceptual", perceptual, arguments={"layers": {"conv1_1": 1.0}})
    settings = {"content": (*CONTENT, perceived), "backbone": Published(module=Backbone())}
    plain, sharp = make_task(**settings), make_task(**settings, sharpen=True)
    state, _ = start(plain)
    batch = {**make_batch(), "fakes": plain.draw(plain.phases()[0], state, make_batch(), jax.random.key(2))[0]}
    wanted = plain.phases()[0].loss(state, {**batch, "image": sharpened(batch["image"])}, jax.random.key(3))
    for phase, name in ((0, "content"), (2, "generator")):
        _, aux = sharp.phases()[phase].loss(state, batch, jax.random.key(3))
        for metric in ("l1", "perceptual"):
            np.testing.assert_allclose(aux.metrics[metric], wanted[1].metrics[metric], rtol=1e-6, err_msg=name)
    assert wanted[1].metrics["l1"] != plain.phases()[0].loss(state, batch, jax.random.key(3))[1].metrics["l1"]
    for phase, metric in ((1, "real_logits"), (2, "adversarial")):
        values = [
            task.phases()[phase].loss(state, batch, jax.random.key(3))[1].metrics[metric] for task in (plain, sharp)
        ]
        assert values[0] == values[1]


def test_feature_matching_waits_for_the_discriminator():
    task = make_task(content=(*CONTENT, Content("matching", matching)))
    _, reports = play(task, 3)
    assert "content/matching" not in reports[0]
    assert float(reports[2]["generator/matching"]) > 0
    total = (
        2 * reports[2]["generator/l1"] + reports[2]["generator/matching"] + 0.1 * reports[2]["generator/adversarial"]
    )
    np.testing.assert_allclose(reports[2]["generator/loss"], total, rtol=1e-5)


class Backbone(nn.Module):
    """One convolution by name."""

    @nn.compact
    def __call__(self, image):
        return {"conv1_1": nn.Conv(4, (3, 3), name="conv1_1")(image)}


def test_a_frozen_network_judges_and_never_moves():
    content = (Content("perceptual", perceptual, arguments={"layers": {"conv1_1": 2.0}}),)
    task = make_task(content=content, backbone=Published(module=Backbone()))
    states, reports = play(task, 3)
    assert float(reports[0]["content/perceptual"]) > 0
    assert equal(states[0].params["backbone"], states[3].params["backbone"])
    assert set(states[3].ema_params) == {"generator"}
    weights = jax.tree.map(jnp.zeros_like, {"backbone": {**states[0].params["backbone"], "conv1_2": jnp.ones(3)}})
    blind = with_frozen(states[0], weights)
    step = make_train_step(task, start(task)[1], images=BATCH)
    _, metrics = step(blind, make_batch(), jax.random.key(1), (0,))
    assert float(metrics["content/perceptual"]) == 0


def test_known_pixels_are_unchanged():
    task = make_task(degradation=LeftHidden())
    state, _ = start(task)
    batch = make_batch()
    fakes, _ = task.draw(task.phases()[0], state, batch, jax.random.key(2))
    assert fakes.condition.shape == (BATCH, 8, 8, 4)
    np.testing.assert_array_equal(fakes.image[:, :, 4:], batch["image"][:, :, 4:])
    assert (fakes.image[:, :, :4] != batch["image"][:, :, :4]).all()
    applied = task.apply(state.ema_params, state.ema_variables, fakes.condition)
    np.testing.assert_allclose(applied, fakes.image, rtol=1e-6)


def test_only_patches_that_touch_the_mask_are_judged():
    task = make_task(degradation=LeftHidden())
    state, _ = start(task)
    batch = make_batch()
    fakes = task.draw(task.phases()[0], state, batch, jax.random.key(2))[0]

    def loss(real):
        return task.phases()[1].loss(state, {"image": real, "fakes": fakes}, jax.random.key(3))[0]

    gradients = jax.grad(loss)(batch["image"])
    assert (gradients[:, :, :4] != 0).any()
    np.testing.assert_array_equal(gradients[:, :, 6:], 0)  # one pixel beyond the mask is seen by its patches


def test_conditions_of_the_data_reach_both_networks():
    task = make_task(degradation=None, conditional=True)
    state, _ = start(task)
    batch = make_batch()
    fakes, _ = task.draw(task.phases()[0], state, batch, jax.random.key(2))
    np.testing.assert_array_equal(fakes.condition, batch["condition"])
    assert state.params["discriminator"]["conv"]["kernel"].shape[2] == 6


def test_penalties_see_the_images_and_not_their_conditions():
    task = make_task(degradation=None, conditional=True, penalties=(Penalty("r1", r1, {"gamma": 1.0}),))
    plain = make_task(degradation=None, conditional=True)
    state, _ = start(task)
    batch = {**make_batch(), "fakes": task.draw(task.phases()[0], state, make_batch(), jax.random.key(2))[0]}
    losses = [each.phases()[1].loss(state, batch, jax.random.key(3))[0] for each in (task, plain)]

    def logits(image):
        tree = {"params": state.params["discriminator"]}
        judged = Discriminator().apply(tree, jnp.concatenate([image, batch["condition"]], axis=-1), train=True)
        return judged.logits.mean(axis=(1, 2)).sum()

    gradients = jax.grad(logits)(batch["image"])
    np.testing.assert_allclose(losses[0] - losses[1], 0.5 * (gradients**2).sum(axis=(1, 2, 3)).mean(), rtol=1e-4)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"content": ()}, "config.task.content is missing"),
        ({"loss": None}, "config.task.adversary is missing"),
        ({"adversarial_start": -1}, "adversarial_start: got -1"),
        ({"conditional": True}, "config.task.conditional"),
    ],
)
def test_options_that_do_not_fit_together_are_an_error(changes, words):
    with pytest.raises(UserError, match=words):
        make_task(**changes)


def test_a_generator_of_another_size_is_an_error():
    task = dataclasses.replace(make_task(), generator=Generator(4))
    with pytest.raises(UserError, match=r"config\.networks\.generator: got images"):
        start(task)


class Labelled(nn.Module):
    """The discriminator, whose logits know the label."""

    num_classes: int = 3

    @nn.compact
    def __call__(self, image, label=None, *, train):
        judgement = Discriminator(name="plain")(image, train=train)
        of_label = nn.Embed(self.num_classes, 1, name="label")(label)
        return judgement.replace(logits=judgement.logits + of_label[:, :, None])


def memory_of_the_generator(params, *, memory={"turns": 0.0}):  # noqa: B006
    return 1e-3 * params["conv"]["kernel"] ** 2, {"turns": memory["turns"] + 1}


def towards(critic, fake):
    return -critic(fake)


GAINED = {  # what the adversary brings: changes, metrics, what is remembered
    "augmentation": (
        {"augment": ADA(preset="bgc", target=-1.0, interval=1, images_to_one=8)},
        {"discriminator/augment_probability"},
        {"augment"},
    ),
    "a schedule of it": ({"augment": ADA(preset="blit", schedule=0.5)}, {"discriminator/accuracy"}, set()),
    "a gate": ({"max_accuracy": 0.9}, {"discriminator/accuracy"}, {"accuracy"}),
    "packing": ({"pack": 2, "penalties": (Penalty("r1", r1),)}, {"discriminator/r1"}, set()),
    "labels": ({"discriminator": Labelled()}, {"discriminator/accuracy"}, set()),
    "the best fakes": ({"top_k": 0.5}, {"generator/adversarial"}, set()),
    "penalties of the generator": (
        {
            "generator_penalties": (
                Penalty("memory", memory_of_the_generator),
                Penalty("towards", towards, every=2),
                Penalty("orthogonal", orthogonal),
            )
        },
        {"generator/memory", "generator/orthogonal", "generator_towards/towards"},
        {"generator_memory"},
    ),
}


@pytest.mark.parametrize("where", ["masks", "conditions"])
@pytest.mark.parametrize("name", GAINED)
def test_restoration_supports_the_adversary_options_of_generation(name, where):
    changes, metrics, remembered = GAINED[name]
    kind = {"degradation": LeftHidden()} if where == "masks" else {"degradation": None, "conditional": True}
    task = make_task(**{**kind, "adversarial_start": 0, "loss": adversarial.non_saturating, **changes})
    states, reports = play(task, 2, label=jnp.array([0, 2]))
    assert set(states[0].carry) == remembered
    assert metrics <= reports[0].keys() | reports[1].keys()
    assert all(np.isfinite(value) for report in reports for value in report.values())
    assert states[-1].skipped == 0
    for player in task.players:
        assert not equal(states[0].params[player], states[2].params[player])
    if "augment" in remembered:
        assert states[2].carry["augment"]["probability"] > 0
    if "accuracy" in remembered:
        expected = 0.99 * 0.5 + 0.01 * reports[0]["discriminator/accuracy"]
        np.testing.assert_allclose(states[1].carry["accuracy"], expected, rtol=1e-5)
    if name == "packing":
        channels = 6 if where == "masks" else 12  # of two images, and of their conditions
        assert states[0].params["discriminator"]["conv"]["kernel"].shape[2] == channels


def test_labels_go_to_the_discriminator_and_not_to_the_generator():
    task = make_task(adversarial_start=0, discriminator=Labelled(), loss=adversarial.non_saturating)
    assert task.num_classes == 3
    states, _ = play(task, 1, label=jnp.array([0, 2]))
    before, after = (state.params["discriminator"]["label"]["embedding"] for state in states)
    assert [bool(row) for row in (before != after).any(1)] == [True, False, True]


def test_a_discriminator_that_wins_sits_out():
    task = make_task(adversarial_start=0, max_accuracy=0.5)
    state, optimizers = start(task)
    step = jax.jit(make_train_step(task, optimizers, images=BATCH), static_argnums=3)
    for accuracy, moves in ((0.4, True), (0.9, False)):
        before = state.replace(carry={"accuracy": jnp.float32(accuracy)})
        after, _ = step(before, make_batch(), jax.random.key(1), (0, 1))
        assert equal(after.params["discriminator"], state.params["discriminator"]) != moves
        assert not equal(after.params["generator"], state.params["generator"])


def test_patches_are_weighed_by_the_mask_where_it_was_moved_to():
    """With one logit per pixel, only those under the transformed mask count."""

    class Pixels(nn.Module):
        @nn.compact
        def __call__(self, image, label=None, *, train):
            return Judgement(logits=self.param("w", nn.initializers.ones, ()) * image.sum(-1))

    augment = ADA(preset="blit", chances={"xint": 0.0}, schedule=1.0)  # no pixel is lost
    settings = {"adversarial_start": 0, "degradation": LeftHidden(), "discriminator": Pixels()}
    task = make_task(**settings, loss=adversarial.wasserstein, augment=augment)
    state, _ = start(task)
    batch = {**make_batch(), "fakes": task.draw(task.phases()[0], state, make_batch(), jax.random.key(2))[0]}
    loss, _ = task.phases()[0].loss(state, batch, jax.random.key(3))
    mask = batch["fakes"].condition[..., -1:]
    plain = (mask * (batch["fakes"].image - batch["image"])).sum() / mask.size
    np.testing.assert_allclose(loss, plain, rtol=1e-4)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"content": (*CONTENT, Content("matching", matching)), "augment": DiffAugment()},
            "augment: expected none with matching, which compares",
        ),
        ({"generator_penalties": (Penalty("zcr", zcr_generator),)}, "generator_penalties: zcr needs 'generate', which"),
        (
            {"penalties": (Penalty("zcr", zcr),)},
            "config.task.adversary.penalties: zcr needs 'generate', which this task",
        ),
        ({"generator_penalties": (Penalty("orthogonal", orthogonal),), "adversarial_start": None}, "expected none"),
        ({"pack": 0}, "config.task.adversary.pack: got 0"),
        ({"pack": 2, "discriminator": Labelled()}, "config.task.adversary.pack: images of different labels"),
    ],
)
def test_options_that_restoration_does_not_support_are_an_error(changes, words):
    with pytest.raises(UserError, match=words):
        make_task(**changes)


def test_smoothed_labels_and_instance_noise_are_the_adversarys():
    def turns(**changes):
        task = make_task(adversarial_start=0, loss=adversarial.non_saturating, **changes)
        state, _ = start(task)
        batch = {**make_batch(), "fakes": task.draw(task.phases()[0], state, make_batch(), jax.random.key(1))[0]}
        return [phase.loss(state, batch, jax.random.key(2)) for phase in task.phases()]

    (hard, aux), (generator, _) = turns()
    (soft, _), (same, _) = turns(label_smoothing=0.2)
    np.testing.assert_allclose(soft - hard, 0.2 * aux.metrics["real_logits"], rtol=1e-3, atol=1e-6)
    assert generator == same
    (_, noisy), (_, other) = turns(instance_noise=0.5, penalties=(Penalty("r1", r1),))
    assert (noisy.metrics["real_logits"], noisy.metrics["fake_logits"]) != (
        aux.metrics["real_logits"],
        aux.metrics["fake_logits"],
    )
    assert other.metrics["l1"] == turns()[1][1].metrics["l1"]  # what was restored is compared as it is
    with pytest.raises(UserError, match="has no target for the reals"):
        make_task(label_smoothing=0.1)  # a relativistic loss
